"""Closing a failed round on the contributions that came: a lead's click, with the reason."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from federation.selectors import live
from federation.services import rounds as service
from studies import access
from studies.forms.decisions import ReasonForm
from studies.views.gates import attempt


@login_required
@require_http_methods(["GET", "POST"])
def close_below_quorum(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask, then close; the study's lead, and only while there is such a round."""
    study = access.led_study_or_404(request.user, slug)
    row = live.can_close_below_quorum(study)
    if row is None:
        raise Http404
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        attempt(
            request,
            f"Round {row.number} is closed with {len(row.contributors)} contributions.",
            lambda: service.close_with(study, by=request.user, reason=reason),
        )
        return redirect("study", slug=slug)
    context = {"study": study, "round": row, "form": form}
    return render(request, "federation/close_round.html", context)
