"""What a study's plan would leave of the lifetime budgets of the datasets an institution offers."""

import math
from dataclasses import dataclass, replace

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.dp.filters import divergence_limit, proved
from accounting.dp.fitting import divergence
from accounting.keys import Limit
from accounting.models import DatasetBudget
from accounting.refusals import MixedUnits, NoBound
from accounting.selectors import commitments, histories, judging, shown, unbooked
from accounting.selectors.commitments import Commitments


@dataclass(frozen=True)
class Prospect:
    """One dataset before the plan and after it, all by PLD; `fits` is what sealing will say.

    `before` is spent, `committed` is that and what other studies have committed, `after` is that
    and this plan. Where the noise is chosen on the way there is no plan: `after` is then the most
    that the study's filter allows, by RDP, and None where this budget's own filter is what ends
    it. `conflict` says why the study can never be sealed there; '' where nothing does.
    """

    lineage: str
    limit: Limit
    before: Figure
    committed: Figure
    after: Figure | None
    fits: bool
    conflict: str = ""

    @property
    def shown_left_before(self) -> str:
        """ε neither spent nor committed now, rounded down."""
        return shown.down(self.limit.epsilon - self.committed.epsilon)

    @property
    def endless(self) -> bool:
        """Whether what is spent has no bound."""
        return math.isinf(self.before.epsilon)

    @property
    def shown_committed(self) -> str:
        """What the other studies' plans add to what is spent, rounded up."""
        if self.endless:
            return self.before.shown()
        return shown.up(self.committed.epsilon - self.before.epsilon)

    @property
    def shown_left_after(self) -> str:
        """ε left once the whole study ran, rounded down; 0 where only the filter will end it."""
        return shown.down(self.limit.epsilon - self.after.epsilon if self.after else 0.0)


def prospects(
    study: str,
    institution: str,
    plan: tuple[PrivacyEvent, ...],
    *,
    unit: str = "",
    bound: Limit | None = None,
) -> list[Prospect]:
    """One per lifetime budget of the institution: all others' spent and committed, and this plan.

    A study that runs already counts with its plan, not twice. `bound` is the budget that the
    study's own filter keeps where its noise is chosen on the way, and its plan therefore empty.
    """
    spent, standing = histories.load([institution]), commitments.standing([institution])
    rows = DatasetBudget.objects.filter(institution=institution).order_by("lineage")
    unit = plan[0].unit if plan else unit
    claims = [judging.Claim(study, institution, row.lineage, unit, plan, bound) for row in rows]
    unbounded = unbooked.unbounded([institution])
    found = [
        _prospect(row, claim, spent, standing, bound)
        for row, claim in zip(rows, claims, strict=True)
    ]
    return [_kept(each, institution, unbounded.get((institution, each.lineage))) for each in found]


def _kept(found: Prospect, institution: str, why: str | None) -> Prospect:
    """Beside a loss without a bound nothing fits."""
    if not why:
        return found
    endless = replace(found.before, epsilon=math.inf, low=None)
    said = str(NoBound(institution, found.lineage, why))
    return replace(found, before=endless, committed=endless, fits=False, conflict=said)


def at_most(
    others: tuple[PrivacyEvent, ...], bound: Limit, delta: float, order: float
) -> Figure | None:
    """What a history may come to with a study whose own filter keeps `bound`, however it chooses.

    Divergences rise with the order, so what the filter allows at its order bounds every lower one;
    None at a higher one. Raises Unbounded.
    """
    own = judging.filter_order(bound)
    if order > own:
        return None
    most = divergence(others, order) + divergence_limit(bound.epsilon, bound.delta, own)
    return proved(most, delta, order)


def _prospect(
    row: DatasetBudget,
    claim: judging.Claim,
    spent: histories.Histories,
    standing: Commitments,
    bound: Limit | None,
) -> Prospect:
    limit, order = judging.terms(row)
    verdict = judging.judge_claim(claim, spent, standing, limit, order)
    planned = standing.with_plan(claim.study, claim.place, claim.plan)
    other = judging.other_unit(claim, spent, standing) if claim.unit else ""
    conflict = str(MixedUnits(*claim.place, other, claim.unit)) if other else ""
    if bound is None:
        after = epsilon(planned.demand(spent, claim.place), limit.delta)
    else:
        after = at_most(_of_others(claim, spent, standing), bound, limit.delta, order)
    return Prospect(
        row.lineage,
        limit,
        before=epsilon(spent.dataset(*claim.place), limit.delta),
        committed=_committed(claim, spent, standing, limit, order),
        after=after,
        fits=verdict.fits and not conflict,
        conflict=conflict,
    )


def _committed(
    claim: judging.Claim,
    spent: histories.Histories,
    standing: Commitments,
    limit: Limit,
    order: float,
) -> Figure:
    """Spent and what other studies committed; by the filter where one of them is adaptive."""
    demand = standing.demand(spent, claim.place, without=claim.study)
    others = any(p.bound and p.study != claim.study for p in standing.at(claim.place))
    return judging.judge(demand, limit, order).figure if others else epsilon(demand, limit.delta)


def _of_others(
    claim: judging.Claim, spent: histories.Histories, standing: Commitments
) -> tuple[PrivacyEvent, ...]:
    """Everything that all other studies spent of the dataset and have committed on it."""
    rest = {
        name: steps for name, steps in spent.steps.items() if name != (claim.study, *claim.place)
    }
    return standing.demand(histories.Histories(rest), claim.place, without=claim.study)
