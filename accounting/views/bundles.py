"""Downloads for an auditor: the whole ledger, or one study's entries, each with its proofs."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from accounting.selectors import bundle, reconciliation, visible
from accounting.services import checkpoints
from studies import access
from studies.selectors import visibility


@login_required
@require_GET
def whole(request: HttpRequest) -> HttpResponse:
    """Every entry; for the officers of the whole federation, who may read every body."""
    if not visibility.oversees_everything(request.user):
        raise PermissionDenied("the whole ledger is for compliance officers of the federation")
    checkpoints.issue()
    text = bundle.text(scope={"kind": "ledger"}, witnesses=reconciliation.witnesses())
    return _download(text, "ledger-bundle.json")


@login_required
@require_GET
def study(request: HttpRequest, slug: str) -> HttpResponse:
    """One study's entries at the houses whose budgets the person reads, each proved to be in."""
    found = access.study_or_404(request.user, slug)
    if not visible.may_export(request.user, found):
        raise PermissionDenied("entries tell lifetime budgets; their houses and officers read them")
    checkpoints.issue()
    rows = visible.exportable(request.user, found)
    scope = {"kind": "study", "study": found.slug}
    return _download(bundle.text(rows, scope=scope), f"{found.slug}-bundle.json")


def _download(text: str, name: str) -> HttpResponse:
    answer = HttpResponse(text, content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
