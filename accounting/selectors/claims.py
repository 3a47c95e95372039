"""What may be claimed, what is spent and what is left, of a study and of a dataset: one rule.

Whoever shows an ε of the ledger asks here: pages, the model card, the reports, the summary of a
simulation. The rule is the gate's: a study that stays within the plan that it sealed before round
1 chose nothing; everything else, and several studies on one dataset, passed a filter.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from accounting.dp.claims import Claim, Filter, claim
from accounting.keys import Limit
from accounting.models import DatasetBudget
from accounting.selectors import commitments, histories, judging, unbooked
from accounting.selectors.commitments import Commitments
from accounting.selectors.histories import Histories, Steps

Plans = dict[tuple[str, str], list[Steps]]  # by study and institution


@dataclass
class Books:
    """What is spent and what was ever sealed, read once for a page or a report."""

    spent: Histories
    plans: Plans
    standing: Commitments = field(default_factory=Commitments)
    endless: Collection[str] = ()  # where a charge of the one study that was read has no bound

    def study(self, study: str, institution: str, limit: Limit) -> Claim:
        """Of one study at one institution, at the δ of its budget; `limit.epsilon` is 0 before
        there is one, and then nothing is spent."""
        by = self.filter_of(study, institution, limit)
        found = claim(self.spent.study(study, institution), limit.delta, by)
        return _without_bound(found) if institution in self.endless else found

    def filter_of(self, study: str, institution: str, limit: Limit) -> Filter | None:
        """What kept a study where it chose on the way; None where all was sealed beforehand."""
        return None if self._is_sealed(study, institution) else kept_by(limit)

    def dataset(self, budget: DatasetBudget) -> Claim:
        """Of one dataset over its lifetime."""
        place = (budget.institution, budget.lineage)
        return claim(self.spent.dataset(*place), float(budget.delta), self.filter_on(budget))

    def filter_on(self, budget: DatasetBudget) -> Filter | None:
        """What keeps a lifetime budget where several studies use it, or one chose on the way."""
        place = (budget.institution, budget.lineage)
        users = self.standing.users(self.spent, place)
        bounded = self.standing.bounded(place)
        alone = (
            not bounded
            and len(users) < 2
            and all(self._is_sealed(study, place[0]) for study in users)
        )
        limit, order = judging.terms(budget)
        return None if alone else Filter(limit.epsilon, limit.delta, order)

    def _is_sealed(self, study: str, institution: str) -> bool:
        spent = self.spent.merged_study(study, institution).key()
        return is_sealed(spent, self.plans.get((study, institution), ()))


def is_sealed(spent: Iterable[tuple[histories.Price, int]], plans: Iterable[Steps]) -> bool:
    """Whether a study's whole history (Merged.key()) is a part of a plan that it sealed."""
    history = tuple(spent)
    return not history or any(judging.within(history, plan) for plan in plans)


def kept_by(limit: Limit) -> Filter:
    """The filter of a study's own budget."""
    return Filter(limit.epsilon, limit.delta, judging.filter_order(limit))


def read(institutions: Collection[str] | None = None, study: str | None = None) -> Books:
    """The books of `institutions` (all when None), or of one study.

    Raises commitments.Unreadable. With `study`, `dataset` and `filter_on` know no other study.
    """
    studies = None if study is None else (study,)
    standing, ever = commitments.sealed(institutions, studies)
    return Books(histories.load(institutions, study), ever, standing)


def of(study: str) -> Books:
    """The books of one study, also where a row of a broken ledger hides what it sealed.

    Then nothing counts as sealed, which claims more, never less.
    """
    try:
        books = read(study=study)
    except commitments.Unreadable:
        books = Books(histories.load(study=study), {})
    left_out = unbooked.left_out(None)
    return replace(
        books, endless={each.institution for each, _ in left_out if each.place[0] == study}
    )


def _without_bound(found: Claim) -> Claim:
    claimed, spent = (
        replace(figure, epsilon=math.inf, low=None) for figure in (found.claimed, found.spent)
    )
    return replace(found, claimed=claimed, spent=spent)
