"""Both sides' books: what each site told of its journal, and where it contradicts the ledger."""

from collections.abc import Iterable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounting.models import SiteDifference
from accounting.selectors import reconciliation, visible
from accounting.services import differences
from studies import access
from studies.models import Institution

LONGEST_REASON = 1000
INSTITUTIONS = 25  # on one page
DIFFERENCES = 50  # of each that are shown


@login_required
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """For the site admins and officers of each institution; to everybody else it does not exist.

    First those whose journals differ from the ledger.
    """
    if not access.may_read_ledger(request.user):
        raise Http404
    differs = SiteDifference.objects.filter(institution=OuterRef("slug"), note__isnull=True)
    houses = visible.houses(request.user).order_by(Exists(differs).desc(), "name")
    page = Paginator(houses, INSTITUTIONS).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "states": [
            (state, reconciliation.of_institution(state.institution.slug)[:DIFFERENCES])
            for state in reconciliation.states(page.object_list)
        ],
        "mine": set(visible.administered(request.user).values_list("slug", flat=True)),
    }
    return render(request, "accounting/journals.html", context)


@login_required
@require_POST
def explain(request: HttpRequest, number: int) -> HttpResponse:
    """Say what happened, as a site admin of the institution whose journal it is."""
    row, house = access.row_or_404(request.user, access.may_read_offer, SiteDifference, number)
    if not access.may_administer(request.user, house):
        raise PermissionDenied("its own site admins explain what an institution's journal says")
    reason = request.POST.get("reason", "").strip()[:LONGEST_REASON]
    try:
        for one in _meant(request, row, house):
            differences.explain(one, by=request.user, reason=reason)
    except differences.NotExplained as error:
        messages.error(request, f"Not kept: {error}.")
    else:
        messages.success(request, "Kept. The studies that it held can be resumed by their leads.")
    return redirect("journals")


def _meant(
    request: HttpRequest, row: SiteDifference, house: Institution
) -> Iterable[SiteDifference]:
    """This one, or all that nobody explained: a restored hub lacks many rounds for one reason."""
    if "all" not in request.POST:
        return (row,)
    return reconciliation.of_institution(house.slug).filter(note__isnull=True)
