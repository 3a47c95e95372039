"""Downloads for an auditor: the whole ledger, or one study's entries, each with its proofs."""

from collections.abc import Iterator

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from accounting.selectors import bundle, reconciliation, tree, visible
from accounting.services import checkpoints
from accounting.views.streaming import Streamed
from studies import access
from studies.selectors import visibility

BROKEN = (tree.Damaged, checkpoints.LedgerRewritten)


@login_required
@require_GET
def whole(request: HttpRequest) -> HttpResponse | Streamed:
    """Every entry; for the officers of the whole federation, who may read every body."""
    if not visibility.oversees_everything(request.user):
        raise PermissionDenied("the whole ledger is for compliance officers of the federation")
    try:
        checkpoints.issue()
        pieces = bundle.pieces(scope={"kind": "ledger"}, witnesses=reconciliation.witnesses())
    except BROKEN as error:
        return refused(request, error)
    return download(pieces, "ledger-bundle.json")


@login_required
@require_GET
def study(request: HttpRequest, slug: str) -> HttpResponse | Streamed:
    """One study's entries at the houses whose budgets the person reads, each proved to be in."""
    found = access.study_or_404(request.user, slug)
    if not visible.may_export(request.user, found):
        raise PermissionDenied("entries tell lifetime budgets; their houses and officers read them")
    rows = visible.exportable(request.user, found)
    try:
        checkpoints.issue()
        pieces = bundle.pieces(rows, scope={"kind": "study", "study": found.slug})
    except BROKEN as error:
        return refused(request, error)
    return download(pieces, f"{found.slug}-bundle.json")


def download(pieces: Iterator[str], name: str) -> Streamed:
    """A JSON file, sent while it is written."""
    answer = Streamed(pieces, content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def refused(request: HttpRequest, error: Exception) -> HttpResponseRedirect:
    """A broken ledger proves nothing; its page says more."""
    messages.error(request, f"There is no bundle of a broken ledger: {error}")
    return redirect("ledger")
