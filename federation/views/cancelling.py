"""Cancelling an open round: a lead's click, with the reason and what the study does then."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from federation.selectors import live
from federation.services import cancelling as service
from studies import access
from studies.forms.decisions import CancelForm
from studies.models import Study
from studies.views.gates import attempt


@login_required
@require_http_methods(["GET", "POST"])
def cancel_round(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask, then cancel; the study's lead.

    The attempt that was shown is the one that is cancelled: a second click, or one that comes
    after the round ended, changes nothing and is answered with a sentence.
    """
    study = access.led_study_or_404(request.user, slug)
    if request.method == "POST":
        form = CancelForm(request.POST)
        if form.is_valid():
            return _cancelled(request, study, form)
    row = live.cancellable(study)
    if row is None:
        raise Http404
    if request.method == "GET":
        form = CancelForm(initial={"round": row.number, "attempt": row.attempt})
    if row.contributors and row.phase != row.decisive:
        form.model_stands()
    context = {"study": study, "round": row, "form": form, **_sides(study, row)}
    return render(request, "federation/cancel_round.html", context)


def _cancelled(request: HttpRequest, study: Study, form: CancelForm) -> HttpResponse:
    said = form.cleaned_data
    wish = service.Wish(said["round"], said["attempt"], said["reason"], said["then"] == "pause")
    attempt(
        request,
        f"Round {wish.round} is cancelled; its sites stop at their next step.",
        lambda: service.cancel(study, wish, by=request.user),
    )
    return redirect("study", slug=study.slug)


def _sides(study: Study, row: live.RoundRow) -> dict[str, list[str]]:
    """Who computes, and stays charged; and who has not begun, and is not."""
    waiting = live.holding_up(study)
    return {
        "begun": [cell.name for cell in waiting if cell.state == "taken"],
        "untouched": [cell.name for cell in waiting if cell.state == "open"],
        "came": [
            cell.name for cell in row.sites if (cell.phase, cell.state) == (row.phase, "answered")
        ],
    }
