"""The life of each mechanism: what may follow what, under which key, and what it spends."""

from __future__ import annotations

from typing import Any, NamedTuple

from accounting.verifier.parts.figures import Event, event
from accounting.verifier.parts.losses import History, Price
from accounting.verifier.parts.reading import Wrong, pick

NEXT = {
    "nothing": ("reserved",),
    "reserved": ("charged", "lost", "refused", "aborted"),
    "charged": ("released", "lost", "refused", "aborted"),
    "released": ("acknowledged", "refused"),
    "acknowledged": (),
    "lost": (),
    "refused": (),
    "aborted": (),
}
LIVING = frozenset(kind for kinds in NEXT.values() for kind in kinds)

Place = tuple[str, str, int, int, str]  # study, institution, round, attempt, phase
Dataset = tuple[str, str]  # institution, lineage


class Life(NamedTuple):
    """The newest kind of row about one place, and its reservation."""

    state: str
    reservation: dict[str, Any]


class Spent:
    """Everything reserved and not given back, by study and dataset."""

    def __init__(self) -> None:
        self.steps: dict[tuple[str, str, str], dict[Price, int]] = {}

    def add(self, body: dict[str, Any], found: Event, sign: int) -> None:
        """Count an event of a row (sign 1), or give it back (−1)."""
        place = (body["study"], body["institution"], body["lineage"])
        steps = self.steps.setdefault(place, {})
        steps[found.price] = steps.get(found.price, 0) + sign * found.steps

    def study(self, study: str, institution: str) -> History:
        """What a study spent at an institution, of whatever dataset."""
        return _added([s for (a, i, _), s in self.steps.items() if (a, i) == (study, institution)])

    def dataset(self, place: Dataset) -> History:
        """What all studies together spent of a dataset."""
        return _added([s for (_, i, ln), s in self.steps.items() if (i, ln) == place])

    def studies(self, place: Dataset) -> set[str]:
        """The studies of which something of a dataset is spent now."""
        return {a for (a, i, ln), s in self.steps.items() if (i, ln) == place and any(s.values())}


def _added(parts: list[dict[Price, int]]) -> History:
    total: History = {}
    for part in parts:
        for price, steps in part.items():
            total[price] = total.get(price, 0) + steps
    return {price: steps for price, steps in total.items() if steps}


class Lives:
    """Follows each place through its rows."""

    def __init__(self) -> None:
        self.lives: dict[Place, Life] = {}
        self.spent = Spent()
        self.units: dict[Dataset, str] = {}
        self.counts: dict[str, int] = {}
        self.booked: list[Place] = []

    def step(self, body: dict[str, Any]) -> None:
        """Take one row about a place. Raises Wrong where it may not follow, but goes on."""
        place, kind = place_of(body), body["kind"]
        before = self.lives.get(place, Life("nothing", {}))
        reservation = body if kind == "reserved" else before.reservation
        self.lives[place] = Life(kind, reservation)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind in ("reserved", "aborted") and before.state != kind:
            self.spent.add(body, event(pick(body, "event", dict)), 1 if kind == "reserved" else -1)
        _check_move(before.state, kind, body)
        if kind == "aborted":
            _check_given_back(body, reservation)
        if kind in ("charged", "released") and body["lineage"] != reservation["lineage"]:
            raise Wrong(f"it is about the dataset {body['lineage']!r}, the reservation is not")

    def book(self, body: dict[str, Any]) -> None:
        """Count what a site's journal proves beside what the hub knew. Raises Wrong."""
        self.booked.append(place_of(body))
        if "event" in body:
            self.spent.add(body, event(pick(body, "event", dict)), 1)
        elif len(pick(body, "tensors_digest", str)) != 64:
            raise Wrong("it books neither a charge nor a release")

    def begun(self) -> set[Place]:
        """Where anything was ever reserved, or booked."""
        return {*self.lives, *self.booked}

    def keep_unit(self, body: dict[str, Any]) -> None:
        """One privacy unit for a dataset, as long as anything of it is spent. Raises Wrong."""
        place, found = (body["institution"], body["lineage"]), event(body["event"])
        before = self.units.get(place, found.unit)
        self.units[place] = found.unit
        alone = self.spent.dataset(place) == {found.price: found.steps}
        if before != found.unit and not alone:
            raise Wrong(f"it composes a cost per {found.unit} with costs per {before}")


def place_of(body: dict[str, Any]) -> Place:
    """What a row is about."""
    return body["study"], body["institution"], body["round"], body["attempt"], body["phase"]


def key_of(body: dict[str, Any]) -> str:
    """The idempotency key that a row about a place must have."""
    study, institution, number, attempt, phase = place_of(body)
    return f"{study}/{institution}/{number}.{attempt}/{phase}/{body['kind']}"


def _check_move(state: str, kind: str, body: dict[str, Any]) -> None:
    what = f"{body['phase']} of round {body['round']}.{body['attempt']} at {body['institution']}"
    if kind not in NEXT[state]:
        raise Wrong(f"{what} is {state} and cannot become {kind}")
    if (state, kind) == ("charged", "aborted") and len(str(body.get("evidence", ""))) != 64:
        raise Wrong(f"{what} was charged and is given back without the site's signed word")


def _check_given_back(body: dict[str, Any], reservation: dict[str, Any]) -> None:
    before = (reservation.get("event"), reservation.get("lineage"))
    if (body["event"], body["lineage"]) != before:
        raise Wrong("it gives back another event than was reserved")
