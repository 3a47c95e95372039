"""Replaying the ledger's rows: what each may follow, what each may spend, which ε each must say."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from sys import intern
from typing import Any

from accounting import transitions
from accounting.dp.accountants import UnknownAccountant, epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.keys import Key, Limit
from accounting.models import EntryKind
from accounting.selectors.histories import Histories, price_of
from accounting.services import gate, priced
from accounting.services.audit_rules import Audits, Unsound

TOLERANCE = 1e-6  # relative; another processor may differ in the last digits of an FFT
_FIELDS = ("study", "institution", "lineage", "round", "attempt", "phase")


class Wrong(Exception):
    """What is wrong with a row, as a sentence."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """What giving a reservation back is compared with."""

    event: PrivacyEvent
    lineage: str


@dataclass
class Replay:
    """The state of everything after the rows seen so far."""

    spent: Histories = field(default_factory=Histories)
    states: dict[tuple[str, str, int, int, str], str] = field(default_factory=dict)
    reserved: dict[tuple[str, str, int, int, str], Reserved] = field(default_factory=dict)
    budgets: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    orders: dict[tuple[str, str], str] = field(default_factory=dict)
    units: dict[tuple[str, str], str] = field(default_factory=dict)
    plans: dict[tuple[str, str, str], gate.Plan] = field(default_factory=dict)
    audits: Audits = field(default_factory=Audits)

    def step(self, body: dict[str, Any]) -> None:
        """Take one row's body. Raises Wrong where it does not follow from the rows before it."""
        try:
            _STEPS.get(body["kind"], Replay._keyed)(self, body)
        except (KeyError, TypeError, ValueError, UnknownAccountant) as error:
            raise Wrong(f"its body cannot be read: {type(error).__name__} {error}") from error

    def _declared(self, body: dict[str, Any]) -> None:
        place = (body["institution"], body["lineage"])
        before = self.budgets.get(place)
        if before and float(body["epsilon"]) > float(before[0]):
            raise Wrong(f"it raises a lifetime budget from {before[0]} to {body['epsilon']}")
        if before and float(body["delta"]) > float(before[1]):
            raise Wrong(f"it raises the δ of a lifetime budget from {before[1]}")
        if float(body["epsilon"]) > float(body["site_cap"]):
            raise Wrong(f"it lends ε = {body['epsilon']}, above the site's cap {body['site_cap']}")
        if not self.spent.dataset(*place):
            self.orders[place] = body["filter_order"]
        if body["filter_order"] != self.orders[place]:
            raise Wrong(f"it changes the order of the RDP filter from {self.orders[place]}")
        self.budgets[place] = (body["epsilon"], body["delta"])

    def _sealed(self, body: dict[str, Any]) -> None:
        events = [PrivacyEvent.from_json(event) for event in body["plan"]]
        _same_figure(body["figure"], epsilon(events, float(body["limit"]["delta"])))
        self.plans[gate.plan_place(body)] = gate.plan_steps(body)

    def _committed(self, body: dict[str, Any]) -> None:
        place = (body["study"], body["institution"])
        try:
            self.audits.commit(body, began=any(key[:2] == place for key in self.reserved))
        except Unsound as error:
            raise Wrong(str(error)) from error

    def _revealed(self, body: dict[str, Any]) -> None:
        try:
            stated = self.audits.reveal(body)
        except Unsound as error:
            raise Wrong(str(error)) from error
        history = self.spent.study(body["study"], body["institution"])
        _same_figure(stated, epsilon(history, float(stated["delta"])))

    def _keyed(self, body: dict[str, Any]) -> None:
        key = _key(body)
        if body["idempotency_key"] != key.idempotency(body["kind"]):
            raise Wrong(f"its idempotency key is not {key.idempotency(body['kind'])}")
        if body["kind"] not in transitions.KEYED:
            raise Wrong(f"{body['kind']!r} is no kind of entry")
        try:
            state, evidence = self.states.get(key.place, ""), body.get("evidence", "")
            transitions.check(state, body["kind"], str(key), evidence)
        except transitions.IllegalTransition as error:
            raise Wrong(str(error)) from error
        self.states[key.place] = body["kind"]
        if body["kind"] == EntryKind.RESERVED:
            self._spend(key, body)
        elif body["kind"] == EntryKind.ABORTED:
            self._give_back(key, body)

    def _spend(self, key: Key, body: dict[str, Any]) -> None:
        event = _event(body)
        self.reserved[key.place] = Reserved(event, key.lineage)
        self._keep_unit(key, event)
        self.spent.add(key.study, key.institution, key.lineage, event)
        history = self.spent.merged_study(key.study, key.institution).key()
        _same_figure(body["figure"], priced.figure(history, float(body["figure"]["delta"])))
        plan = self.plans.get((key.study, key.institution, body["protocol_digest"]), {})
        sealed = gate.within(priced.history(history), plan)
        if body["sealed"] is not sealed:
            raise Wrong(f"it says sealed: {body['sealed']}, but the sealed plan says {sealed}")
        alone = self.spent.alone(key.study, key.institution, key.lineage)
        study, dataset = body["checks"]
        self._check_limits(key, body, study, dataset)
        _check_scope(study, "study", history, None if sealed else _study_order(study))
        order = float(self.orders[key.institution, key.lineage])
        spent = self.spent.merged_dataset(key.institution, key.lineage).key()
        _check_scope(dataset, "dataset", spent, None if sealed and alone else order)

    def _keep_unit(self, key: Key, event: PrivacyEvent) -> None:
        place = (key.institution, key.lineage)
        before = self.units.get(place, event.unit)
        if before != event.unit and self.spent.touched(*place):
            raise Wrong(f"it composes a cost per {event.unit} with costs per {before}")
        self.units[place] = event.unit

    def _check_limits(self, key: Key, body: dict[str, Any], study: Any, dataset: Any) -> None:
        if study["delta"] != body["figure"]["delta"]:
            raise Wrong("its figure and the check of the study's budget use different δ")
        budget = self.budgets.get((key.institution, key.lineage))
        if budget is None:
            raise Wrong(f"no lifetime budget was declared for {key.lineage} before it")
        checked = (float(dataset["limit"]), float(dataset["delta"]))
        if checked != (float(budget[0]), float(budget[1])):
            raise Wrong(f"it was checked against {checked}, but the lifetime budget was {budget}")

    def _give_back(self, key: Key, body: dict[str, Any]) -> None:
        event = _event(body)
        if Reserved(event, key.lineage) != self.reserved[key.place]:
            raise Wrong("it gives back another event than was reserved")
        self.spent.add(key.study, key.institution, key.lineage, event, sign=-1)


_STEPS: dict[str, Callable[[Replay, dict[str, Any]], None]] = {
    EntryKind.DECLARED: Replay._declared,
    EntryKind.SEALED: Replay._sealed,
    EntryKind.COMMITTED: Replay._committed,
    EntryKind.REVEALED: Replay._revealed,
}


def _key(body: dict[str, Any]) -> Key:
    """The row's key; its texts are shared between rows, or a long ledger would fill the memory."""
    study, institution, lineage, number, attempt, phase = (body[name] for name in _FIELDS)
    return Key(intern(study), intern(institution), intern(lineage), number, attempt, intern(phase))


def _event(body: dict[str, Any]) -> PrivacyEvent:
    return _read(tuple(body["event"].items()))


@lru_cache(maxsize=4096)
def _read(items: tuple[tuple[str, Any], ...]) -> PrivacyEvent:
    """An event that many rows repeat. Raises ValueError, also where a number has a second form."""
    written = dict(items)
    event = PrivacyEvent.from_json(written)
    if price_of(event)[:2] != (written["noise_multiplier"], written["sample_rate"]):
        raise ValueError("the numbers of its event are not written as the ledger writes them")
    return event


def _check_scope(
    check: dict[str, str], scope: str, history: priced.Items, order: float | None
) -> None:
    if check["scope"] != scope:
        raise Wrong(f"the check of the {scope} budget is missing")
    limit = Limit(float(check["limit"]), float(check["delta"]))
    figure = priced.judged(history, limit, order).figure
    _same_figure(check, figure)
    if figure.epsilon > float(check["limit"]) * (1 + TOLERANCE):
        raise Wrong(
            f"it spends ε = {figure.shown()} of a {scope} budget of {check['limit']}: it should "
            "have been refused"
        )


def _study_order(check: dict[str, str]) -> float:
    return gate.filter_order(Limit(float(check["limit"]), float(check["delta"])))


def _same_figure(stored: dict[str, str], derived: Figure) -> None:
    if stored["accountant"] != derived.accountant:
        raise Wrong(f"its ε is by {stored['accountant']}, expected {derived.accountant}")
    said = float(stored["epsilon"])
    if abs(said - derived.epsilon) <= TOLERANCE * max(1.0, derived.epsilon):
        return
    version = "" if stored["version"] == derived.version else f" (written by {stored['version']})"
    raise Wrong(
        f"it says ε = {said:.6g}{version}, but its events cost ε = {derived.epsilon:.6g} "
        f"({derived.accountant}, {derived.version}, δ = {derived.delta:g})"
    )
