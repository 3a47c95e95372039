"""What a study's plan would leave of the lifetime budgets of the datasets an institution offers."""

from dataclasses import dataclass

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.keys import Limit
from accounting.models import DatasetBudget
from accounting.selectors import histories, shown
from accounting.services import gate


@dataclass(frozen=True)
class Prospect:
    """One dataset before the plan and after it, both by PLD; `fits` is what the gate will say."""

    lineage: str
    limit: Limit
    before: Figure
    after: Figure
    fits: bool

    @property
    def shown_left_before(self) -> str:
        """ε left now, rounded down."""
        return shown.down(self.limit.epsilon - self.before.epsilon)

    @property
    def shown_left_after(self) -> str:
        """ε left once the whole plan ran, rounded down."""
        return shown.down(self.limit.epsilon - self.after.epsilon)


def prospects(study: str, institution: str, plan: tuple[PrivacyEvent, ...]) -> list[Prospect]:
    """One per lifetime budget of the institution: the other studies, and this whole plan on top."""
    spent = histories.load([institution])
    rows = DatasetBudget.objects.filter(institution=institution).order_by("lineage")
    return [_prospect(row, study, spent, plan) for row in rows]


def _prospect(
    row: DatasetBudget, study: str, spent: histories.Histories, plan: tuple[PrivacyEvent, ...]
) -> Prospect:
    limit, order = gate.terms(row)
    alone = spent.studies(row.institution, row.lineage) <= {study}
    others = histories.events(
        steps
        for (name, house, lineage), steps in spent.steps.items()
        if (house, lineage) == (row.institution, row.lineage) and name != study
    )
    verdict = gate.judge((*others, *plan), limit, None if alone else order)
    after = epsilon((*others, *plan), limit.delta)
    before = epsilon(spent.dataset(row.institution, row.lineage), limit.delta)
    return Prospect(row.lineage, limit, before, after, verdict.fits)
