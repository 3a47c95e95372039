"""What a draft would do to every budget it touches, told as far as the person may know."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure, Unbounded
from accounting.dp.filters import divergence_limit, whole_budget
from accounting.dp.fitting import Answer, coarse, divergence, rounds_within
from accounting.dp.planning import ADAPTIVE, Outlook, after, rounds_held
from accounting.keys import Limit
from accounting.models import DatasetBudget
from accounting.selectors import (
    commitments,
    histories,
    judging,
    lending,
    shown,
    unbooked,
    units,
    visible,
)
from accounting.selectors.commitments import Commitments
from studies.models import Institution, Participation
from studies.selectors.readiness import said_class
from studies.selectors.visibility import Visitor

Place = tuple[str, str]


@dataclass(frozen=True)
class Lifetime:
    """One dataset's lifetime budget, for people of its own house: `before` the plan and after."""

    lineage: str
    limit: Limit
    before: Figure  # spent, and committed by others
    after: tuple[Figure, ...]  # after each round that the outlook lists; empty: no bound found
    end: Figure | None  # after the whole study, whatever is chosen on the way; None: no bound
    rounds: int  # of the planned ones, that it still holds
    others: tuple[str, ...]  # studies that spent or committed anything of it
    conflict: str  # the privacy unit that it is charged for, where that is another; '' else

    @property
    def shown_left(self) -> str:
        """ε left now, rounded down."""
        return shown.down(self.limit.epsilon - self.before.epsilon)

    @property
    def shown_after(self) -> str:
        """ε left once the whole study ran, rounded down; a dash where that has no bound."""
        return shown.down(self.limit.epsilon - self.end.epsilon) if self.end else "–"


@dataclass(frozen=True)
class House:
    """One invited institution: `lifetimes` are None where its figures are not the person's."""

    institution: Institution
    answer: Answer
    lifetimes: tuple[Lifetime, ...] | None


@dataclass(frozen=True)
class Budgets:
    """Everything that is asked of the ledger for one redraw, read once."""

    found: Outlook
    study: str
    unit: str
    spent: histories.Histories
    standing: Commitments
    units: Mapping[Place, str]
    rows: Sequence[DatasetBudget]

    @cached_property
    def _costs(self) -> dict[float, tuple[float, ...]]:
        return {}

    def costs(self, order: float) -> tuple[float, ...]:
        """The plan's Rényi divergence at an order, round by round."""
        if order not in self._costs:
            rounds = self.found.rounds()
            each = {events: divergence(events, order) for events in set(rounds)}
            self._costs[order] = tuple(each[events] for events in rounds)
        return self._costs[order]

    def others(self, place: Place) -> tuple[PrivacyEvent, ...]:
        """What other studies spent of a dataset and have committed on it."""
        return self.standing.demand(self.spent, place, without=self.study)

    def users(self, place: Place) -> tuple[str, ...]:
        """The other studies that spent or committed anything of it."""
        return tuple(sorted(self.standing.users(self.spent, place) - {self.study}))

    def conflict(self, place: Place) -> str:
        """Another privacy unit that the dataset is charged for; '' where none is."""
        spent = self.units.get(place, "") if self.spent.studies(*place) else ""
        bound = spent or self.standing.unit(place, besides=self.study)
        return bound if bound != self.unit else ""


def houses(
    person: Visitor, found: Outlook, slugs: Collection[str], *, study: str, unit: str
) -> list[House]:
    """One per invited institution, in the order of the form."""
    every = DatasetBudget.objects.filter(institution__in=slugs).order_by("lineage")
    endless = unbooked.unbounded(slugs)  # nothing can be planned on a loss without a bound
    rows = [row for row in every if (row.institution, row.lineage) not in endless]
    own = set(visible.houses(person).filter(slug__in=slugs).values_list("slug", flat=True))
    chosen = dict(
        Participation.objects.filter(study__slug=study, institution__slug__in=slugs)
        .exclude(lineage="")
        .values_list("institution__slug", "lineage")
    )
    budgets = Budgets(
        found,
        study,
        unit,
        histories.load(slugs),
        commitments.standing(slugs),
        units.reserved(slugs),
        rows,
    )
    named = {house.slug: house for house in Institution.objects.filter(slug__in=slugs)}
    return [
        _house(named[slug], budgets, chosen.get(slug), may_read=slug in own)
        for slug in slugs
        if slug in named
    ]


def machines(slugs: Collection[str], stated: Mapping[str, str | None]) -> dict[str, str | None]:
    """Institution → the class of machine that it would be planned for if it were asked now."""
    rows = Institution.objects.filter(slug__in=slugs)
    return {row.slug: said_class(row, stated.get(row.slug)) for row in rows}


def _house(
    institution: Institution, budgets: Budgets, lineage: str | None, *, may_read: bool
) -> House:
    rows = [row for row in budgets.rows if row.institution == institution.slug]
    rows = [row for row in rows if lineage is None or row.lineage == lineage]
    if not may_read:
        return House(institution, _told([_coarse(row, budgets) for row in rows]), None)
    lifetimes = tuple(_lifetime(row, budgets) for row in rows)
    answers = [_exact(each, budgets.found.draft.rounds) for each in lifetimes]
    return House(institution, _told(answers), lifetimes)


def _told(answers: Collection[Answer]) -> Answer:
    """Of several datasets one has to hold the plan; which is lent, the house decides later."""
    if Answer.FITS in answers:
        return Answer.FITS
    return Answer.SHORT if answers and set(answers) == {Answer.SHORT} else Answer.ASK


def _exact(lifetime: Lifetime, rounds: int) -> Answer:
    fits = lifetime.rounds >= rounds and not lifetime.conflict
    return Answer.FITS if fits else Answer.SHORT


def _coarse(row: DatasetBudget, budgets: Budgets) -> Answer:
    if budgets.conflict((row.institution, row.lineage)):
        return Answer.ASK
    limit, order = judging.terms(row)
    whole = _whole(budgets.found, order)
    cost = sum(budgets.costs(order)) if whole is None else whole
    return coarse(cost, _room(row, budgets, limit, order))


def _whole(found: Outlook, order: float) -> float | None:
    """What an adaptive study commits when it starts; None where a plan is sealed."""
    draft = found.draft
    if draft.schedule != ADAPTIVE:
        return None
    return whole_budget(draft.budget or draft.target or 0.0, draft.delta, order)


def _rounds(row: DatasetBudget, budgets: Budgets, limit: Limit, order: float) -> int:
    """How many rounds fit beside the others; all or none of a study that commits its budget."""
    room, whole = _room(row, budgets, limit, order), _whole(budgets.found, order)
    if whole is None:
        return rounds_within(budgets.costs(order), room)
    return budgets.found.draft.rounds if whole <= room * (1 + judging.SLACK) else 0


def _room(row: DatasetBudget, budgets: Budgets, limit: Limit, order: float) -> float:
    others = budgets.others((row.institution, row.lineage))
    return divergence_limit(limit.epsilon, limit.delta, order) - divergence(others, order)


def _lifetime(row: DatasetBudget, budgets: Budgets) -> Lifetime:
    limit, order = judging.terms(row)
    place = (row.institution, row.lineage)
    others, users = budgets.others(place), budgets.users(place)
    if users or budgets.found.draft.schedule == ADAPTIVE:
        rounds = _rounds(row, budgets, limit, order)
    else:
        rounds = rounds_held(budgets.found, limit.epsilon, limit.delta)
    after_rounds = _after(others, budgets.found, limit)
    return Lifetime(
        row.lineage,
        limit,
        before=epsilon(others, limit.delta),
        after=after_rounds,
        end=_end(others, budgets.found, limit, order, after_rounds),
        rounds=rounds,
        others=users,
        conflict=budgets.conflict(place),
    )


def _end(
    others: tuple[PrivacyEvent, ...],
    found: Outlook,
    limit: Limit,
    order: float,
    after_rounds: tuple[Figure, ...],
) -> Figure | None:
    """The sealed plan's own end, or the most that an adaptive study's filter allows."""
    draft = found.draft
    if draft.schedule != ADAPTIVE:
        return after_rounds[-1] if after_rounds else None
    bound = Limit(draft.budget or draft.target or 0.0, draft.delta)
    try:
        return lending.at_most(others, bound, limit.delta, order)
    except Unbounded:
        return None


def _after(others: tuple[PrivacyEvent, ...], found: Outlook, limit: Limit) -> tuple[Figure, ...]:
    numbers = [point.number for point in found.points]
    try:
        return after(found, limit.delta, numbers, others)
    except Unbounded:
        return ()
