"""May this event still be spent? Asks every budget that it touches, in the order of cost.

A plan that was sealed in the ledger before round 1 chooses nothing after looking at results, so
the tight accountant (PLD) may judge it. Everything else, such as parameters chosen on the way, a
repeated attempt or several studies on one dataset, is judged by the RDP filter at one order fixed
with the budget, which stays valid under full adaptivity (ACCOUNTING section 2; arXiv 2008.11193,
2602.06756).

Sealing commits a plan: it must fit its dataset's lifetime budget beside everything that is spent
and every other plan that stands, so that two studies cannot starve each other half-way. An event
beyond its study's plan leaves the room that others have committed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.dp.filters import whole_budget
from accounting.keys import Key, Limit, Reservation
from accounting.models import DatasetBudget
from accounting.refusals import BudgetExceeded, MixedUnits, NoBound, NotLent, PlanExceeds
from accounting.selectors import commitments, histories, judging, unbooked
from accounting.selectors.commitments import Commitments
from accounting.selectors.plain import select

_BUDGETS = (
    "SELECT institution, lineage, epsilon, delta, filter_order FROM accounting_datasetbudget "
    "WHERE id > 0"
)


@dataclass(frozen=True)
class Admission:
    """A yes, with everything that the row records about it."""

    figure: Figure  # the study at this institution after the event, by PLD
    checks: tuple[dict[str, str], ...]
    sealed: bool


@dataclass
class Gate:
    """Everything that a batch of reservations is checked against, read once under the lock."""

    institutions: Collection[str]
    spent: histories.Histories
    budgets: Mapping[tuple[str, str], tuple[Limit, float]]
    plans: Mapping[tuple[str, str, str], histories.Steps]  # of the studies that ask
    units: dict[tuple[str, str], str]  # of each dataset that something is spent of
    unbounded: Mapping[tuple[str, str], str]  # why a dataset's loss has no bound

    @cached_property
    def standing(self) -> Commitments:
        """Every plan that stands; read only where an event goes beyond its own."""
        return commitments.standing(self.institutions)

    def admit(self, request: Reservation) -> Admission:
        """Spend the event here and judge the histories it belongs to.

        Raises:
            BudgetExceeded: a budget would be passed.
            NotLent: the dataset has no budget.
            MixedUnits: what was spent of the dataset protects another privacy unit.
            NoBound: the site's journal charged the dataset what cannot be counted.
        """
        key, event = request.key, request.event
        lifetime, order = self._lifetime(key)
        _keep_bounded(key, self.unbounded)
        self._keep_unit(key, event)
        self.spent.add(key.study, key.institution, key.lineage, event)
        whole = self.spent.merged_study(key.study, key.institution)
        plan = self.plans.get(
            (key.study, key.institution, request.protocol_digest), judging.NO_PLAN
        )
        sealed, study = judging.within(whole.key(), plan), whole.events()
        alone = self.spent.alone(key.study, key.institution, key.lineage)
        limit = request.study_limit
        judged = {
            "study": (study, limit, None if sealed else judging.filter_order(limit)),
            "dataset": (
                self._of_dataset(key, sealed),
                lifetime,
                None if sealed and alone else order,
            ),
        }
        checks = tuple(_check(scope, key, event.unit, *case) for scope, case in judged.items())
        return Admission(epsilon(study, request.study_limit.delta), checks, sealed)

    def _of_dataset(self, key: Key, sealed: bool) -> tuple[PrivacyEvent, ...]:
        """What is spent; beyond a plan, also what other studies have committed."""
        place = (key.institution, key.lineage)
        if sealed:
            return self.spent.dataset(*place)
        return self.standing.demand(self.spent, place, without=key.study)

    def _keep_unit(self, key: Key, event: PrivacyEvent) -> None:
        place = (key.institution, key.lineage)
        before = self.units.get(place, event.unit)
        if before != event.unit and self.spent.touched(*place):
            raise MixedUnits(key.institution, key.lineage, before, event.unit)
        self.units[place] = event.unit

    def _lifetime(self, key: Key) -> tuple[Limit, float]:
        found = self.budgets.get((key.institution, key.lineage))
        if found is None:
            raise NotLent(key.institution, key.lineage)
        return found


def read(requests: Collection[Reservation]) -> Gate:
    """Read all that `requests` need: histories, budgets, plans and units, one query each."""
    institutions = {r.key.institution for r in requests}
    budgets = {
        (house, lineage): (Limit(float(most), float(delta)), float(order))
        for house, lineage, most, delta, order in select(_BUDGETS, institution=institutions)
    }
    own = commitments.standing(institutions, {r.key.study for r in requests})
    plans = {name: plan.steps for name, plan in own.plans.items()}
    spent = histories.load(institutions)
    unbounded = unbooked.unbounded(institutions)
    return Gate(institutions, spent, budgets, plans, dict(spent.units), unbounded)


def commit(claim: judging.Claim) -> tuple[str, dict[str, str]]:
    """Whether a whole plan may be sealed; the order of the filter and the check, for its row.

    Raises:
        PlanExceeds: the lifetime budget does not hold it beside what is spent and committed.
        NotLent: the dataset has no budget.
        MixedUnits: what is spent of the dataset or committed on it protects another unit.
        NoBound: the site's journal charged the dataset what cannot be counted.
    """
    row = DatasetBudget.objects.filter(institution=claim.institution, lineage=claim.lineage).first()
    if row is None:
        raise NotLent(claim.institution, claim.lineage)
    _keep_bounded(claim, unbooked.unbounded([claim.institution]))
    spent, standing = histories.load([claim.institution]), commitments.standing([claim.institution])
    if other := judging.other_unit(claim, spent, standing):
        raise MixedUnits(claim.institution, claim.lineage, other, claim.unit)
    limit, order = judging.terms(row)
    verdict = judging.judge_claim(claim, spent, standing, limit, order)
    if not verdict.fits:
        raise PlanExceeds(
            "dataset", claim.institution, claim.lineage, verdict.figure, limit, claim.unit
        )
    return row.filter_order, check_json("dataset", limit, verdict.figure)


def _keep_bounded(of: Key | judging.Claim, unbounded: Mapping[tuple[str, str], str]) -> None:
    """What has no ε costs infinity: beside it no budget holds anything. Raises NoBound."""
    if why := unbounded.get((of.institution, of.lineage)):
        raise NoBound(of.institution, of.lineage, why)


def figure_json(figure: Figure) -> dict[str, str]:
    """A figure as the ledger writes it: decimal strings that read back exactly."""
    return {
        "epsilon": repr(figure.epsilon),
        "delta": repr(figure.delta),
        "accountant": figure.accountant,
        "version": figure.version,
        "discretisation": figure.discretisation,
    }


def bound_json(claim: judging.Claim, order: str) -> dict[str, str]:
    """What the row of a claim says beside its plan where the study's noise is chosen on the way."""
    if claim.bound is None:
        return {}
    return {"bound": repr(whole_budget(claim.bound.epsilon, claim.bound.delta, float(order)))}


def check_json(scope: str, limit: Limit, figure: Figure) -> dict[str, str]:
    """A check of a budget as a row records it."""
    return {"scope": scope, "limit": repr(limit.epsilon), **figure_json(figure)}


def _check(
    scope: str,
    key: Key,
    unit: str,
    history: tuple[PrivacyEvent, ...],
    limit: Limit,
    order: float | None,
) -> dict[str, str]:
    verdict = judging.judge(history, limit, order)
    if not verdict.fits:
        name = key.study if scope == "study" else key.lineage
        raise BudgetExceeded(scope, key.institution, name, verdict.figure, limit, unit)
    return check_json(scope, limit, verdict.figure)
