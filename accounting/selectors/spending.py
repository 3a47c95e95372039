"""What was spent and what is left: every ε here is derived from the ledger's events."""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from django.db.models import QuerySet

from accounting.dp.claims import Claim, Filter, claim
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.models import DatasetBudget, Entry, EntryKind
from accounting.selectors import claims, commitments, histories, shown, unbooked
from accounting.selectors.judging import SLACK
from accounting.selectors.plain import select

NO_BOUND = "no bound"
OVER = 2.0  # the share of any budget that a loss without a bound is drawn as
NOBODY: Mapping[str, Filter | None] = {}


@dataclass(frozen=True)
class Remaining:
    """One dataset's lifetime budget: `spent` + `reserved` is `claim.spent`.

    `committed` is what running studies' plans add to it, the rest is `left`: all by the accountant
    of `claim`, so where a filter keeps the budget, as the filter counts it.
    """

    number: int  # of the budget's row
    institution: str
    lineage: str
    limit: float
    site_cap: float
    claim: Claim
    spent: float
    reserved: float
    committed: float
    left: float
    unit: str  # what its charges protect; empty before the first
    no_bound: str = ""  # why its loss has no bound; '' where it has one

    @property
    def figure(self) -> Figure:
        """Charged and reserved together; infinite where there is no bound."""
        spent = self.claim.spent
        return replace(spent, epsilon=math.inf, low=None) if self.no_bound else spent

    @property
    def odometer(self) -> str:
        """What must stand beside the figures: of a filter that keeps the budget, or of no bound."""
        return f"{NO_BOUND}: {self.no_bound}" if self.no_bound else odometer(self.claim)

    @property
    def shown_spent(self) -> str:
        """Charged, rounded up."""
        return NO_BOUND if self.no_bound else shown.up(self.spent)

    @property
    def shown_reserved(self) -> str:
        """Reserved and not charged yet, rounded up."""
        return shown.up(self.reserved)

    @property
    def shown_committed(self) -> str:
        """Committed and not reserved yet, rounded up."""
        return shown.up(self.committed)

    @property
    def shown_left(self) -> str:
        """Left, rounded down."""
        return shown.down(self.left)

    @property
    def exhausted(self) -> bool:
        """Whether it is passed, as by what only a site's journal proved: nothing more fits."""
        return self.figure.epsilon > self.limit * (1 + SLACK)

    @property
    def share(self) -> float:
        """The part of the budget that is gone, 0 to 1 and above where it was lowered since."""
        return OVER if self.no_bound else self.figure.epsilon / self.limit


def odometer(found: Claim) -> str:
    """The words beside a sum so far that may not be claimed; empty where it may."""
    if found.by is None:
        return ""
    return (
        f"so far, {shown.ODOMETER}; the filter at Rényi order {found.by.order:g} counts, and "
        f"{found.divergence_left:.4g} of its {found.by.divergence:.4g} is left"
    )


@dataclass(frozen=True)
class Budgets:
    """Lifetime budgets for a page; none, and the `problem`, where the ledger is broken."""

    rows: list[Remaining]
    problem: str = ""


def reservations(
    study: str | None = None, institution: str | None = None, lineage: str | None = None
) -> QuerySet[Entry]:
    """The rows that spend, `reserved` or `booked`; see `counted` for those given back."""
    scope = {"study": study, "institution": institution, "lineage": lineage}
    return Entry.objects.filter(
        kind__in=(EntryKind.RESERVED, EntryKind.BOOKED),
        steps__gt=0,
        **{name: value for name, value in scope.items() if value},
    )


def counted(rows: QuerySet[Entry]) -> list[Entry]:
    """`rows` less those whose reservation was aborted; what was booked stays."""
    returned = set(
        Entry.objects.filter(
            kind=EntryKind.ABORTED,
            study__in=rows.values("study"),
            institution__in=rows.values("institution"),
        ).values_list("study", "institution", "round", "attempt", "phase")
    )
    if not returned:
        return list(rows)
    return [row for row in rows if row.kind == EntryKind.BOOKED or place(row) not in returned]


def place(row: Entry) -> tuple[str, str, int, int, str]:
    """The key of a row, without its lineage."""
    return row.study, row.institution, row.round, row.attempt, row.phase


def event_of(row: Entry) -> PrivacyEvent:
    """The event that a row which spends holds."""
    return PrivacyEvent.from_json(json.loads(row.body)["event"])


def burn_down(
    study: str, institution: str, delta: float, by: Filter | None = None
) -> list[tuple[int, Figure]]:
    """(round, ε composed after that round), over everything that still counts as spent."""
    return burn_downs(study, delta, {institution: by}, institution).get(institution, [])


def burn_downs(
    study: str,
    delta: float,
    kept: Mapping[str, Filter | None] = NOBODY,
    institution: str | None = None,
) -> dict[str, list[tuple[int, Figure]]]:
    """The burn-down of every institution in a study, in one query, round by round.

    `kept` names the filters of those that chose on the way: their figures are odometers.
    """
    listed: dict[str, list[PrivacyEvent]] = {}
    ends: dict[str, dict[int, int]] = {}
    for row in sorted(counted(reservations(study, institution)), key=lambda row: row.round):
        history = listed.setdefault(row.institution, [])
        history.append(event_of(row))
        ends.setdefault(row.institution, {})[row.round] = len(history)
    return {
        slug: [
            (number, claim(listed[slug][:end], delta, kept.get(slug)).spent)
            for number, end in after.items()
        ]
        for slug, after in ends.items()
    }


def remaining(institution: str, lineage: str) -> Remaining:
    """The state of one lifetime budget. Raises DatasetBudget.DoesNotExist."""
    return remaining_of(DatasetBudget.objects.get(institution=institution, lineage=lineage))


def remaining_of(budget: DatasetBudget) -> Remaining:
    """The state of `budget`: composed ε at its own δ, split into charged and only reserved."""
    return remaining_all([budget])[0]


def remaining_all(budgets: Iterable[DatasetBudget]) -> list[Remaining]:
    """The state of each of `budgets`, in few queries however many they and the entries are.

    Raises commitments.Unreadable.
    """
    rows = list(budgets)
    houses = {row.institution for row in rows}
    books, opened = claims.read(houses), _open(houses)
    found = [_remaining(row, books, opened) for row in rows]
    unbounded = unbooked.unbounded(houses)
    without = ((row, unbounded.get((row.institution, row.lineage))) for row in found)
    return [replace(row, no_bound=why, left=0.0) if why else row for row, why in without]


def readable(budgets: Iterable[DatasetBudget]) -> Budgets:
    """As `remaining_all`, for pages that are shown even though the ledger is broken."""
    try:
        return Budgets(remaining_all(budgets))
    except commitments.Unreadable as broken:
        return Budgets([], str(broken))


def _remaining(
    budget: DatasetBudget,
    books: claims.Books,
    opened: Mapping[commitments.Place, histories.Steps],
) -> Remaining:
    delta, limit = float(budget.delta), float(budget.epsilon)
    where = (budget.institution, budget.lineage)
    found, spent, standing = books.dataset(budget), books.spent, books.standing
    settled = commitments.steps_of(spent.dataset(*where)) - opened.get(where, Counter())
    by, figure = books.filter_on(budget), found.spent
    charged = claim(histories.events([settled]), delta, by).spent
    planned = claim(standing.demand(spent, where), delta, by).spent
    return Remaining(
        budget.pk,
        budget.institution,
        budget.lineage,
        limit,
        float(budget.site_cap),
        found,
        spent=charged.epsilon,
        reserved=figure.epsilon - charged.epsilon,
        committed=planned.epsilon - figure.epsilon,
        left=max(0.0, limit - planned.epsilon),
        unit=spent.units.get(where, "") or standing.unit(where, besides=""),
    )


def _open(institutions: Collection[str]) -> dict[commitments.Place, histories.Steps]:
    """What is reserved and nothing else yet: no row says what became of it."""
    found: dict[commitments.Place, histories.Steps] = {}
    for institution, lineage, *price, steps in select(_WAITING, institution=institutions):
        found.setdefault((institution, lineage), Counter())[tuple(price)] += steps
    return found


_WAITING = (
    "SELECT institution, lineage, noise_multiplier, sample_rate, rows_per_unit, waiting "
    "FROM accounting_spentsteps WHERE waiting <> 0"
)
