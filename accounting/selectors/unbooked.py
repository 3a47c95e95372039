"""What a site's signed journal charged and the ledger cannot count: a loss without any bound.

Such a charge has no ε, so the lifetime of its dataset has none either (ACCOUNTING section 1): as
long as it stands, nothing more is spent of that dataset, whatever the study.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from accounting.contradictions import Place, Side, parsed, uncounted, unlisted
from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.models import DatasetBudget, Entry, EntryKind, SiteDifference
from accounting.selectors import histories
from accounting.selectors import sides as books

MOST_STEPS = 2**31 - 1
LONGEST_LINEAGE = 100
DELTA = 1e-5  # of the figure beside what belongs to no study and no budget that the hub knows
Dataset = tuple[str, str]  # institution, lineage
Row = Mapping[str, Any]  # of a site's journal


@dataclass(frozen=True)
class Owed:
    """One row of a site's journal that is to be booked, and the charge that it is about."""

    institution: str
    place: Place
    row: Row
    charge: Row

    @property
    def spends(self) -> bool:
        """Whether it is the charge itself, and not what left under it."""
        return self.row is self.charge

    @property
    def event(self) -> PrivacyEvent:
        """What was charged."""
        return PrivacyEvent.from_json(parsed(self.charge["event"]))

    @property
    def dataset(self) -> Dataset:
        """What it was charged of."""
        return self.institution, self.charge["lineage"]

    @property
    def key(self) -> str:
        """Of its row in the ledger: each row of a journal is booked once."""
        study, number, attempt, phase = self.place
        where = f"{study}/{self.institution}/{number}.{attempt}/{phase}"
        return f"{where}/{EntryKind.BOOKED}/{self.row['digest']}"


def owed(institution: str, place: Place, hub: Side, site: Side) -> list[Owed]:
    """Charges first: what left under one is listed once the charge is."""
    charges = uncounted(hub, site)
    hub.booked |= {row["digest"] for row in charges}
    by_assignment = {row["assignment"]: row for row in site.charges.values()}
    left = [(row, by_assignment.get(row["assignment"])) for row in unlisted(hub, site)]
    found = [Owed(institution, place, row, row) for row in charges]
    return found + [Owed(institution, place, row, charge) for row, charge in left if charge]


def obstacle(claim: Owed) -> str:
    """Why it cannot be booked, and what to do; empty where it can."""
    event, where = claim.event, claim.dataset
    if event.steps > MOST_STEPS or not 0 < len(where[1]) <= LONGEST_LINEAGE:
        return "the journal charges what no ledger holds; tell the operator, with the statement"
    spent = histories.load([claim.institution])
    bound = spent.units.get(where, event.unit) if spent.touched(*where) else event.unit
    if bound != event.unit:
        return (
            f"the journal charges {where[1]} per {event.unit}, where the ledger charges it per "
            f"{bound}; one is never composed with the other. End the study"
        )
    try:
        if claim.spends:
            spent.add(claim.place[0], *where, event)
        epsilon(spent.study(claim.place[0], claim.institution), delta_of(claim))
        epsilon(spent.dataset(*where), _lifetime_delta(claim))
    except ValueError as error:  # Unbounded is one
        return f"what the journal charges has no ε: {error}. End the study"
    return ""


def unbounded(institutions: Collection[str] | None) -> dict[Dataset, str]:
    """Each dataset of which a charge stands that cannot be booked, and why; everywhere if None."""
    return {claim.dataset: why for claim, why in left_out(institutions)}


def left_out(institutions: Collection[str] | None) -> Iterator[tuple[Owed, str]]:
    """Each charge that stands and cannot be booked, and why.

    Every such charge left a difference that nobody can explain (services/differences), so where
    there is none, one query answers.
    """
    rows = SiteDifference.objects.filter(note__isnull=True, round__gt=0)
    if institutions is not None:
        rows = rows.filter(institution__in=institutions)
    places: dict[str, set[Place]] = {}
    fields = ("institution", "study", "round", "attempt", "phase")
    for house, *place in rows.order_by().values_list(*fields).distinct():
        places.setdefault(house, set()).add(tuple(place))  # type: ignore[arg-type]
    for house, differing in places.items():
        for place, pair in books.both_sides(house, differing).items():
            for claim in owed(house, place, *pair):
                if claim.spends and (why := obstacle(claim)):
                    yield claim, why


def budget_of(claim: Owed) -> DatasetBudget | None:
    """The lifetime budget that it spends of; None where none is declared."""
    rows = DatasetBudget.objects.filter(institution=claim.institution)
    return rows.filter(lineage=claim.charge["lineage"]).first()


def delta_of(claim: Owed) -> float:
    """The δ of the study's own limit, or of the dataset's budget."""
    rows = Entry.objects.filter(
        kind=EntryKind.SEALED, study=claim.place[0], institution=claim.institution
    )
    if sealed := rows.order_by("sequence").last():
        return float(parsed(sealed.body)["limit"]["delta"])
    return _lifetime_delta(claim)


def _lifetime_delta(claim: Owed) -> float:
    budget = budget_of(claim)
    return float(budget.delta) if budget else DELTA
