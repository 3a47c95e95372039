"""What an institution's own people and the officers read at home: what is left, and the verdict."""

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounting.models import DatasetBudget, Entry, EntryKind
from accounting.selectors import overview, spending, visible
from studies import access

NEARLY = 0.9  # the share of a lifetime budget at which an officer is told


@login_required
@require_GET
def house(request: HttpRequest, slug: str) -> HttpResponse:
    """What has left an institution, and what is left of each lifetime budget; its own people."""
    institution = access.institution_or_404(request.user, slug)
    if not access.may_read_offer(request.user, institution):
        raise Http404
    rows = DatasetBudget.objects.filter(institution=institution.slug)
    budgets = spending.readable(rows)
    booked = Q(kind=EntryKind.BOOKED, steps=0)  # what left by the site's own word
    released = Entry.objects.filter(booked | Q(kind=EntryKind.RELEASED))
    released = released.filter(institution=institution.slug)
    context = {
        "institution": institution,
        "budgets": budgets.rows,
        "broken": budgets.problem,
        "released": released.count(),
        "studies": released.values("study").distinct().count(),
    }
    return render(request, "accounting/panels/house.html", context)


@login_required
@require_GET
def verdict(request: HttpRequest) -> HttpResponse:
    """Is anything over budget or unverified? For compliance officers."""
    if not access.may_verify_ledger(request.user):
        raise Http404
    budgets = spending.readable(visible.budgets(request.user))
    context = {
        "verdict": overview.last_verdict(),
        "broken": budgets.problem,
        "budgets": len(budgets.rows),
        "nearly": [row for row in budgets.rows if row.share >= NEARLY],
    }
    return render(request, "accounting/panels/verdict.html", context)
