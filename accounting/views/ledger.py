"""The ledger's pages: the overview, one study's entries, verification, the export."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.text import capfirst
from django.views.decorators.http import require_GET, require_POST

from accounting.models import Entry, LedgerHead
from accounting.selectors import naming, overview, raises, spending, verdicts, visible
from accounting.selectors.export import ledger_text
from accounting.services import checkpoints
from accounting.services.verification import verify
from studies import access
from studies.attachments import JSON, attachment
from studies.selectors import visibility
from studies.services import events

LATEST, PER_PAGE = 12, 50


@login_required
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Lifetime budgets, losses per study, the newest entries and the last verdict."""
    _require(request)
    studies = access.studies_for(request.user).exclude(status="draft")
    budgets = spending.readable(visible.budgets(request.user))
    states = {(row.institution, row.lineage): row for row in budgets.rows}
    context = {
        "budgets": budgets.rows,
        "broken": budgets.problem,
        "raises": [
            (asked, states.get((asked.institution, asked.lineage)))
            for asked in raises.waiting(visible.houses(request.user))
        ],
        "studies": [
            (study, overview.losses(study, access.institutions_in(request.user, study)))
            for study in studies
        ],
        "lines": verdicts.lines(visible.entries(request.user).order_by("-sequence")[:LATEST]),
        "names": naming.load(),
        "head": LedgerHead.objects.filter(pk=1).first(),
        "verdict": overview.last_verdict(),
        "checkpoint": checkpoints.latest(),
        "may_take_all": visibility.oversees_everything(request.user),
        "mine": set(visible.administered(request.user).values_list("slug", flat=True)),
        "may_read_journals": access.may_read_ledger(request.user),
        "may_verify": access.may_verify_ledger(request.user),
    }
    return render(request, "accounting/ledger.html", context)


@login_required
@require_GET
def study(request: HttpRequest, slug: str) -> HttpResponse:
    """One study's entries, oldest first, with the digests that chain them."""
    found = access.study_or_404(request.user, slug)
    page = Paginator(visible.entries(request.user, found).order_by("sequence"), PER_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "study": found,
        "page": page,
        "names": naming.load(),
        "lines": verdicts.lines(page.object_list),
        "losses": overview.losses(found, access.institutions_in(request.user, found)),
        "may_export": visible.may_export(request.user, found),
    }
    return render(request, "accounting/study.html", context)


@login_required
@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """Verify the whole ledger now, and keep who did and what came out as an event."""
    _require(request)
    if not access.may_verify_ledger(request.user):
        raise PermissionDenied("compliance officers verify the ledger")
    verdict = verify()
    kind = "ledger_verified" if verdict.ok else "ledger_broken"
    with transaction.atomic():
        events.record(kind, by=request.user, **verdict.about())
    if verdict.ok:
        checkpoints.issue()
    tell = messages.success if verdict.ok else messages.error
    tell(request, capfirst(verdict.sentence()))
    return redirect("ledger")


@login_required
@require_GET
def export(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The study's entries, bodies and digests, at the houses whose budgets the person reads."""
    found = access.study_or_404(request.user, slug)
    if not visible.may_export(request.user, found):
        raise PermissionDenied("entries tell lifetime budgets; institutions and officers read them")
    rows = visible.exportable(request.user, found)
    whole = rows.count() == Entry.objects.filter(study=found.slug).count()
    text = ledger_text(found.slug, rows, complete=whole)
    return attachment(text, JSON, f"{found.slug}-ledger.json")


def _require(request: HttpRequest) -> None:
    if not visible.may_open_ledger(request.user):
        raise Http404
