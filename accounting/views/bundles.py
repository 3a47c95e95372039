"""Downloads for an auditor: the whole ledger, or one study's entries, each with its proofs."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from accounting.refusals import NoBound
from accounting.selectors import bundle, reconciliation, tree, visible
from accounting.services import checkpoints
from studies import access
from studies.attachments import JSON, attachment
from studies.selectors import visibility

BROKEN = (tree.Damaged, checkpoints.LedgerRewritten)


@login_required
@require_GET
def whole(request: HttpRequest) -> HttpResponseBase:
    """Every entry; for the officers of the whole federation, who may read every body."""
    if not visibility.oversees_everything(request.user):
        raise PermissionDenied("the whole ledger is for compliance officers of the federation")
    try:
        checkpoints.issue()
        pieces = bundle.pieces(scope={"kind": "ledger"}, witnesses=reconciliation.witnesses())
    except BROKEN as error:
        return refused(request, error)
    return attachment(pieces, JSON, "ledger-bundle.json")


@login_required
@require_GET
def study(request: HttpRequest, slug: str) -> HttpResponseBase:
    """One study's entries at the houses whose budgets the person reads, each proved to be in."""
    found = access.study_or_404(request.user, slug)
    if not visible.may_export(request.user, found):
        raise PermissionDenied("entries tell lifetime budgets; institutions and officers read them")
    rows = visible.exportable(request.user, found)
    try:
        checkpoints.issue()
        pieces = bundle.pieces(rows, scope={"kind": "study", "study": found.slug})
    except BROKEN as error:
        return refused(request, error)
    return attachment(pieces, JSON, f"{found.slug}-bundle.json")


def refused(request: HttpRequest, error: Exception, what: str = "bundle") -> HttpResponseRedirect:
    """A broken ledger proves nothing; its page says more."""
    messages.error(request, f"There is no {what} of a broken ledger: {error}")
    return redirect("ledger")


def unclaimed(request: HttpRequest, error: Exception) -> HttpResponseRedirect:
    """There is no report of what cannot be read, or has no ε."""
    if not isinstance(error, NoBound):
        return refused(request, error, "report")
    messages.error(request, f"There is no report: {error.public}")
    return redirect("ledger")
