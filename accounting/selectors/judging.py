"""Does a history fit a budget? By the plan that was sealed, by the filter, beside what stands.

What the gate decides by, and what pages show of it; nothing is written here.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.dp.filters import (
    Verdict,
    best_order,
    divergence_limit,
    fits,
    fits_adaptively,
    proved,
    whole_budget,
)
from accounting.keys import Limit
from accounting.models import DatasetBudget
from accounting.selectors import histories
from accounting.selectors.commitments import Commitments

NO_PLAN: histories.Steps = Counter()
SLACK = 1e-9  # relative; a plan calibrated to exactly its budget must not fail by a rounding


@dataclass(frozen=True)
class Claim:
    """A whole plan that asks for its place in a dataset's lifetime budget."""

    study: str
    institution: str
    lineage: str
    unit: str
    plan: tuple[PrivacyEvent, ...]
    bound: Limit | None = None  # the study's own budget, where its noise is chosen on the way

    @property
    def place(self) -> tuple[str, str]:
        """The dataset."""
        return self.institution, self.lineage


def judge_claim(
    claim: Claim,
    spent: histories.Histories,
    standing: Commitments,
    limit: Limit,
    order: float,
) -> Verdict:
    """Whether a plan fits a lifetime budget beside all that is spent and all plans that stand.

    By the filter at `order` as soon as another study touched the dataset or has committed on it,
    and always where the study's noise is chosen on the way: then its whole budget has to fit.
    """
    bound = whole_budget(claim.bound.epsilon, claim.bound.delta, order) if claim.bound else 0.0
    plan = standing.with_plan(claim.study, claim.place, claim.plan, bound, order)
    alone = not bound and standing.users(spent, claim.place) <= {claim.study}
    return judge(plan.demand(spent, claim.place), limit, None if alone else order)


def other_unit(claim: Claim, spent: histories.Histories, standing: Commitments) -> str:
    """The privacy unit of the dataset where it is another than the plan's; '' where none is."""
    bound = spent.units.get(claim.place, "") or standing.unit(claim.place, besides=claim.study)
    return bound if bound != claim.unit else ""


def within(history: Iterable[tuple[histories.Price, int]], plan: histories.Steps) -> bool:
    """Whether a study's whole history (Merged.key()) is a part of its plan.

    A repeated attempt spends more than was sealed, and somebody chose it after looking at results.
    """
    return all(steps <= plan[price] for price, steps in history)


def terms(row: DatasetBudget) -> tuple[Limit, float]:
    """A lifetime budget: its limit, and the order of its filter."""
    return Limit(float(row.epsilon), float(row.delta)), float(row.filter_order)


def filter_order(limit: Limit) -> float:
    """The order of the filter of a budget: fixed with it."""
    return best_order(limit.epsilon, limit.delta)


def judge(history: tuple[PrivacyEvent, ...], limit: Limit, order: float | None) -> Verdict:
    """Whether a history fits: by the filter at `order`, or tightly where it is None (sealed)."""
    ceiling = limit.epsilon * (1 + SLACK)
    if order is None:
        return fits(history, ceiling, limit.delta)
    return fits_adaptively(history, ceiling, limit.delta, order)


def whole_figure(limit: Limit) -> Figure:
    """What a study's own filter lets pass at most: its budget, at the order of its filter."""
    order = filter_order(limit)
    return proved(divergence_limit(limit.epsilon, limit.delta, order), limit.delta, order)
