"""What counts as spent, merged: read from the ledger's running sums, or summed row by row."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.selectors.plain import select

Price = tuple[str, str, int]  # noise_multiplier and sample_rate as written, rows_per_unit
Steps = Counter[Price]
_SPENT = (
    "SELECT study, institution, lineage, noise_multiplier, sample_rate, rows_per_unit, unit, steps "
    "FROM accounting_spentsteps WHERE steps <> 0"
)


@dataclass
class Merged:
    """One history, kept merged and in one order while events come and go."""

    items: list[tuple[Price, int]] = field(default_factory=list)

    def add(self, price: Price, steps: int) -> None:
        """Count `steps` more (or less) at one price."""
        at = bisect_left(self.items, price, key=_price)
        known = at < len(self.items) and self.items[at][0] == price
        if not known:
            insort(self.items, (price, steps), key=_price)
        elif left := self.items[at][1] + steps:
            self.items[at] = (price, left)
        else:
            del self.items[at]

    def key(self) -> tuple[tuple[Price, int], ...]:
        """What equal histories share, quick to make and to compare."""
        return tuple(self.items)

    def events(self) -> tuple[PrivacyEvent, ...]:
        """The merged events; descriptions are not kept."""
        return tuple(_event(*item) for item in self.items)


@dataclass
class Histories:
    """Merged steps per (study, institution, lineage), everything reserved and not given back."""

    steps: dict[tuple[str, str, str], Steps] = field(default_factory=dict)
    at_studies: dict[tuple[str, str], Merged] = field(default_factory=dict)
    at_datasets: dict[tuple[str, str], Merged] = field(default_factory=dict)
    units: dict[tuple[str, str], str] = field(default_factory=dict)  # of each dataset, as read
    _users: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)

    def add(
        self, study: str, institution: str, lineage: str, event: PrivacyEvent, sign: int = 1
    ) -> None:
        """Count one more event, as if it had been read; sign −1 gives it back."""
        self.count((study, institution, lineage), price_of(event), sign * event.steps)

    def count(self, place: tuple[str, str, str], price: Price, steps: int) -> None:
        """Count `steps` at `price` for a (study, institution, lineage)."""
        study, institution, lineage = place
        self.steps.setdefault(place, Counter())[price] += steps
        self.merged_study(study, institution).add(price, steps)
        self.merged_dataset(institution, lineage).add(price, steps)
        users = self._users.setdefault((institution, lineage), {})
        users[study] = users.get(study, 0) + steps
        if not users[study]:
            del users[study]

    def merged_study(self, study: str, institution: str) -> Merged:
        """The history of one study at one institution, to read or to add to."""
        return self.at_studies.setdefault((study, institution), Merged())

    def merged_dataset(self, institution: str, lineage: str) -> Merged:
        """The history of one dataset lineage, to read or to add to."""
        return self.at_datasets.setdefault((institution, lineage), Merged())

    def study(self, study: str, institution: str) -> tuple[PrivacyEvent, ...]:
        """The history of one study at one institution, whatever dataset it used."""
        return self.at_studies.get((study, institution), _NONE).events()

    def dataset(self, institution: str, lineage: str) -> tuple[PrivacyEvent, ...]:
        """The history of one dataset lineage, across studies."""
        return self.at_datasets.get((institution, lineage), _NONE).events()

    def studies(self, institution: str, lineage: str) -> frozenset[str]:
        """The studies that spent anything of one dataset lineage."""
        return frozenset(self._users.get((institution, lineage), ()))

    def touched(self, institution: str, lineage: str) -> bool:
        """Whether anything of one dataset lineage is spent."""
        return bool(self._users.get((institution, lineage)))

    def alone(self, study: str, institution: str, lineage: str) -> bool:
        """Whether one study, and no other, spent anything of one dataset lineage."""
        users = self._users.get((institution, lineage), {})
        return len(users) == 1 and study in users


def load(institutions: Collection[str] | None = None, study: str | None = None) -> Histories:
    """Read the histories of `institutions` (all when None), or of one study."""
    found = Histories()
    studies = None if study is None else (study,)
    for *place, noise, rate, per_unit, unit, steps in select(
        _SPENT, institution=institutions, study=studies
    ):
        found.count(tuple(place), (noise, rate, per_unit), steps)  # type: ignore[arg-type]
        found.units[place[1], place[2]] = unit
    return found


def events(groups: Iterable[Steps]) -> tuple[PrivacyEvent, ...]:
    """The merged events of several groups together; descriptions are not kept."""
    total: Steps = Counter()
    for group in groups:
        total.update(group)
    return tuple(_event(price, steps) for price, steps in sorted(total.items()) if steps)


def price_of(event: PrivacyEvent) -> Price:
    """What makes one step of an event cost what it costs, as the ledger writes it."""
    per_unit = getattr(event, "rows_per_unit", 1)
    return repr(event.noise_multiplier), repr(event.sample_rate), per_unit


def _price(item: tuple[Price, int]) -> Price:
    return item[0]


@lru_cache(maxsize=65536)  # the same few prices again and again
def _event(price: Price, steps: int) -> PrivacyEvent:
    noise, rate, per_unit = float(price[0]), float(price[1]), price[2]
    kind = Mechanism.GAUSSIAN if rate == 1.0 else Mechanism.POISSON_GAUSSIAN
    more: dict[str, Any] = {"rows_per_unit": per_unit} if per_unit != 1 else {}
    return PrivacyEvent(kind, noise, rate, steps, **more)


_NONE = Merged()
