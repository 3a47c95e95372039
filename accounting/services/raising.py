"""Raising a lifetime budget: a site admin proposes, an officer who is somebody else decides.

Never above the cap of the site's own file, and never without a reason. The filter's order stays as
it was fixed: a filter with a larger budget is as valid at it.
"""

from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounting.models import DatasetBudget, EntryKind, RaiseRequest, RaiseStatus
from accounting.models.raise_request import LIFE
from accounting.services.budgets import BudgetError, number, reorder, write
from accounting.services.rows import lock
from studies import access
from studies.models import Institution, Person
from studies.services import events


class RaiseRefused(BudgetError):
    """The budget is not raised like this; the message says what to do."""


@transaction.atomic
def propose(
    institution: Institution,
    lineage: str,
    epsilon: str,
    *,
    by: Person,
    reason: str,
    now: datetime | None = None,
) -> RaiseRequest:
    """Ask an officer to raise one budget to `epsilon`.

    Raises:
        RaiseRefused: no higher than it is, above the site's cap, without a reason, by somebody
            who does not administer the site, or while another proposal waits.
        BudgetError: not a positive number.
        DatasetBudget.DoesNotExist: the institution lends no such dataset.
    """
    lock()
    now = now or timezone.now()
    budget = DatasetBudget.objects.get(institution=institution.slug, lineage=lineage)
    wanted = number("epsilon", epsilon)
    _check(budget, wanted, reason)
    _check_admin(by, institution)
    _expire(budget, now)
    if _waiting(budget).exists():
        raise RaiseRefused(f"a proposal to raise {lineage} waits already; withdraw it first")
    request = RaiseRequest.objects.create(
        institution=institution.slug,
        lineage=lineage,
        before=budget.epsilon,
        epsilon=str(wanted),
        reason=reason.strip(),
        proposed_by=by,
        proposed_at=now,
    )
    _tell("budget_raise_proposed", institution, request, by, request.reason)
    return request


@transaction.atomic
def approve(
    request: RaiseRequest, *, by: Person, reason: str, now: datetime | None = None
) -> DatasetBudget:
    """Raise the budget at once; the second person's name and reason stand in the ledger.

    Raises:
        RaiseRefused: the same person, nobody who oversees the institution, no reason, too late,
            or the budget or its cap changed since.
    """
    now, institution = now or timezone.now(), _house(request)
    head = lock()
    _decidable(request, by, institution, reason, now)
    _check_admin(request.proposed_by, institution)
    budget = DatasetBudget.objects.get(institution=request.institution, lineage=request.lineage)
    if budget.epsilon != request.before:
        raise RaiseRefused(
            f"the budget of {budget.lineage} is ε = {budget.epsilon} now, and was {request.before} "
            "when this was proposed; reject it and let it be proposed anew"
        )
    _check(budget, Decimal(request.epsilon), request.reason)
    budget.epsilon = request.epsilon
    reorder(budget)
    facts = {
        "before": request.before,
        "reason": request.reason,
        "proposed_by": request.proposed_by.username,
        "approved_by": by.username,
        "approved_because": reason.strip(),
    }
    write(head, budget, EntryKind.RAISED, facts)
    _close(request, RaiseStatus.APPROVED, by, reason, now)
    _tell("budget_raised", institution, request, by, reason.strip())
    return budget


@transaction.atomic
def reject(
    request: RaiseRequest, *, by: Person, reason: str, now: datetime | None = None
) -> RaiseRequest:
    """Refuse it with a reason; the budget stays. Raises RaiseRefused as `approve`."""
    now, institution = now or timezone.now(), _house(request)
    lock()
    _decidable(request, by, institution, reason, now)
    _close(request, RaiseStatus.REJECTED, by, reason, now)
    _tell("budget_raise_rejected", institution, request, by, reason.strip())
    return request


@transaction.atomic
def withdraw(request: RaiseRequest, *, by: Person, now: datetime | None = None) -> RaiseRequest:
    """Take a proposal back, by any site admin of the house. Raises RaiseRefused."""
    now, institution = now or timezone.now(), _house(request)
    lock()
    _must_wait(request, now)
    _check_admin(by, institution)
    _close(request, RaiseStatus.WITHDRAWN, by, "", now)
    _tell("budget_raise_withdrawn", institution, request, by, "")
    return request


def _decidable(
    request: RaiseRequest, by: Person, institution: Institution, reason: str, now: datetime
) -> None:
    _must_wait(request, now)
    if by.pk == request.proposed_by_id:
        raise RaiseRefused("raising a budget needs two people, and you proposed it")
    if not access.may_decide_raise(by, institution):
        raise RaiseRefused(f"only a compliance officer of {institution} decides this")
    if not reason.strip():
        raise RaiseRefused("give the reason of your decision; it is kept for good")


def _must_wait(request: RaiseRequest, now: datetime) -> None:
    """Look again under the lock: one decision only."""
    request.refresh_from_db()
    if not request.waits(now):
        state = "expired" if request.status == RaiseStatus.PROPOSED else request.status
        raise RaiseRefused(f"this proposal is {state}; let it be proposed anew")


def _check(budget: DatasetBudget, wanted: Decimal, reason: str) -> None:
    if not reason.strip():
        raise RaiseRefused("give the reason: it becomes part of the ledger")
    if wanted <= Decimal(budget.epsilon):
        raise RaiseRefused(
            f"the budget of {budget.lineage} is ε = {budget.epsilon} already; name a higher one, "
            "or lower it, which needs nobody else"
        )
    if wanted > Decimal(budget.site_cap):
        raise RaiseRefused(
            f"the site's own file lends at most ε = {budget.site_cap} of {budget.lineage}; raise "
            "lifetime_epsilon there and restart its worker first"
        )


def _check_admin(person: Person, institution: Institution) -> None:
    if not access.may_propose_raise(person, institution):
        raise RaiseRefused(f"{person} is no site admin of {institution}; only these propose it")


def _waiting(budget: DatasetBudget):
    return RaiseRequest.objects.filter(
        institution=budget.institution, lineage=budget.lineage, status=RaiseStatus.PROPOSED
    )


def _expire(budget: DatasetBudget, now: datetime) -> None:
    _waiting(budget).filter(proposed_at__lte=now - LIFE).update(
        status=RaiseStatus.EXPIRED, decided_at=now
    )


def _close(
    request: RaiseRequest, status: RaiseStatus, by: Person, answer: str, now: datetime
) -> None:
    request.status, request.answer = status, answer.strip()
    request.decided_by, request.decided_at = by, now
    request.save(update_fields=["status", "answer", "decided_by", "decided_at"])


def _house(request: RaiseRequest) -> Institution:
    return Institution.objects.get(slug=request.institution)


def _tell(
    kind: str, institution: Institution, request: RaiseRequest, by: Person, reason: str
) -> None:
    events.record(
        kind,
        institution=institution,
        by=by,
        dataset=request.lineage,
        lineage=request.lineage,
        before=request.before,
        after=request.epsilon,
        **({"reason": reason} if reason else {}),
    )
