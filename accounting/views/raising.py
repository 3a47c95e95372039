"""Raising a lifetime budget: a site admin's proposal, and the page on which an officer decides."""

from decimal import Decimal
from functools import partial

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounting.forms.budgets import DecideForm, RaiseForm
from accounting.models import DatasetBudget, RaiseRequest
from accounting.selectors import spending
from accounting.services import raising
from accounting.services.budgets import BudgetError
from studies import access
from studies.views.gates import sentence

DECISIONS = {"approve": raising.approve, "reject": raising.reject}


@login_required
@require_http_methods(["GET", "POST"])
def propose(request: HttpRequest, number: int) -> HttpResponse:
    """For the site admins of the institution; for anybody else it does not exist."""
    row, house = access.row_or_404(request.user, access.may_propose_raise, DatasetBudget, number)
    form = RaiseForm(request.POST or None)
    if form.is_valid():
        step = partial(raising.propose, house, row.lineage, by=request.user, **form.cleaned_data)
        if _done(request, "Proposed: an officer decides.", step):
            return redirect("ledger")
    context = {
        "row": row,
        "house": house,
        "state": spending.remaining_of(row),
        "form": form,
        "capped": Decimal(row.site_cap) <= Decimal(row.epsilon),
    }
    return render(request, "accounting/raise.html", context)


@login_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def decide(request: HttpRequest, number: int) -> HttpResponse:
    """One proposal: its house and officers read it, an officer decides, its house withdraws it."""
    asked = RaiseRequest.objects.select_related("proposed_by", "decided_by")
    found, house = access.row_or_404(request.user, access.may_read_offer, asked, number)
    form = DecideForm(None, person=request.user)
    if request.method == "POST":
        form = DecideForm(request.POST, person=request.user)
        if _acted(request, found, form):
            return redirect("ledger")
    waits = found.waits(timezone.now())
    row = DatasetBudget.objects.filter(institution=found.institution, lineage=found.lineage).first()
    another = found.proposed_by_id != request.user.pk
    context = {
        "asked": found,
        "house": house,
        "row": row,
        "state": spending.remaining_of(row) if row else None,
        "waits": waits,
        "may_decide": waits and another and access.may_decide_raise(request.user, house),
        "may_withdraw": waits and access.may_propose_raise(request.user, house),
        "form": form,
    }
    return render(request, "accounting/raise_decide.html", context)


def _acted(request: HttpRequest, found: RaiseRequest, form: DecideForm) -> bool:
    action = request.POST.get("action", "")
    if action == "withdraw":
        return _done(request, "Withdrawn.", partial(raising.withdraw, found, by=request.user))
    if action not in DECISIONS or not form.is_valid():
        return False
    step = partial(DECISIONS[action], found, by=request.user, reason=form.cleaned_data["reason"])
    return _done(request, "Raised." if action == "approve" else "Rejected.", step)


def _done(request: HttpRequest, done: str, step: partial) -> bool:
    try:
        step()
    except BudgetError as error:
        messages.error(request, sentence(error))
        return False
    messages.success(request, done)
    return True
