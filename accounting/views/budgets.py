"""Lowering a lifetime budget: one page, one number, one reason, at once."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounting.models import DatasetBudget
from accounting.selectors import spending
from accounting.services import budgets
from studies import access
from studies.models import Institution


@login_required
@require_http_methods(["GET", "POST"])
def lower(request: HttpRequest, number: int) -> HttpResponse:
    """For the site admins of the institution; for anybody else it does not exist."""
    row, house = access.row_or_404(request.user, access.may_lower_budget, DatasetBudget, number)
    if request.method == "POST" and _lowered(request, house, row):
        return redirect("ledger")
    context = {"row": row, "house": house, "state": spending.remaining_of(row)}
    return render(request, "accounting/lower.html", context)


def _lowered(request: HttpRequest, house: Institution, row: DatasetBudget) -> bool:
    epsilon, reason = request.POST.get("epsilon", ""), request.POST.get("reason", "").strip()
    if not reason:
        messages.error(request, "Give the reason: it becomes part of the ledger.")
        return False
    try:
        changed = budgets.lower(house, row.lineage, epsilon, by=request.user, reason=reason[:1000])
    except budgets.BudgetError as error:
        messages.error(request, f"Not lowered: {error}.")
        return False
    messages.success(request, f"The budget of {row.lineage} is ε = {changed.epsilon} now.")
    return True
