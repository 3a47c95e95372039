"""What a study's plan would leave of the lifetime budgets of the datasets an institution offers."""

from dataclasses import dataclass

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.keys import Limit
from accounting.models import DatasetBudget
from accounting.selectors import commitments, histories, shown
from accounting.selectors.commitments import Commitments
from accounting.services import gate
from accounting.services.refusals import MixedUnits


@dataclass(frozen=True)
class Prospect:
    """One dataset before the plan and after it, all by PLD; `fits` is what sealing will say.

    `before` is spent, `committed` is that and what other studies have committed, `after` is that
    and this plan. `conflict` says why the plan can never be sealed there; '' where nothing does.
    """

    lineage: str
    limit: Limit
    before: Figure
    committed: Figure
    after: Figure
    fits: bool
    conflict: str = ""

    @property
    def shown_left_before(self) -> str:
        """ε neither spent nor committed now, rounded down."""
        return shown.down(self.limit.epsilon - self.committed.epsilon)

    @property
    def shown_committed(self) -> str:
        """What the other studies' plans add to what is spent, rounded up."""
        return shown.up(self.committed.epsilon - self.before.epsilon)

    @property
    def shown_left_after(self) -> str:
        """ε left once the whole plan ran, rounded down."""
        return shown.down(self.limit.epsilon - self.after.epsilon)


def prospects(study: str, institution: str, plan: tuple[PrivacyEvent, ...]) -> list[Prospect]:
    """One per lifetime budget of the institution: all others' spent and committed, and this plan.

    A study that runs already counts with its plan, not twice.
    """
    spent, standing = histories.load([institution]), commitments.standing([institution])
    rows = DatasetBudget.objects.filter(institution=institution).order_by("lineage")
    unit = plan[0].unit if plan else ""
    claims = [gate.Claim(study, institution, row.lineage, unit, plan) for row in rows]
    return [_prospect(row, claim, spent, standing) for row, claim in zip(rows, claims, strict=True)]


def _prospect(
    row: DatasetBudget, claim: gate.Claim, spent: histories.Histories, standing: Commitments
) -> Prospect:
    limit, order = gate.terms(row)
    verdict = gate.judge_claim(claim, spent, standing, limit, order)
    planned = standing.with_plan(claim.study, claim.place, claim.plan)
    other = gate.other_unit(claim, spent, standing) if claim.plan else ""
    conflict = str(MixedUnits(*claim.place, other, claim.unit)) if other else ""
    return Prospect(
        row.lineage,
        limit,
        before=epsilon(spent.dataset(*claim.place), limit.delta),
        committed=epsilon(standing.demand(spent, claim.place, without=claim.study), limit.delta),
        after=epsilon(planned.demand(spent, claim.place), limit.delta),
        fits=verdict.fits and not conflict,
        conflict=conflict,
    )
