"""Moving a study or a participation on: a page that says what it means, then the deed."""

from dataclasses import dataclass
from functools import partial

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from studies import access
from studies.forms.decisions import OptionalReasonForm, ReasonForm
from studies.services import participations as participation_service
from studies.services import studies as study_service
from studies.views.gates import attempt


@dataclass(frozen=True)
class Deed:
    """How an action is asked about; `reason` None: takes none, else whether one must be given."""

    label: str
    icon: str
    question: str
    means: tuple[str, ...]
    done: str
    hurts: bool = False
    reason: bool | None = None


STUDY_DEEDS = {
    "submit": Deed(
        "Submit for approval",
        "send",
        "Submit this study for approval?",
        (
            "The noise of every round is calibrated and sealed into the protocol.",
            "Every institution of the cohort is invited to approve exactly this protocol.",
            "Any change after this makes a new digest and reopens every approval.",
        ),
        "The study is submitted; its institutions are asked.",
    ),
    "start": Deed(
        "Start",
        "player-play",
        "Start the study?",
        (
            "Each round asks every site for one noised update, and is charged to its budget.",
            "What is spent stays spent, whatever becomes of the study.",
            "You may pause at any time; no further round opens then.",
        ),
        "The study is running.",
    ),
    "pause": Deed(
        "Pause",
        "player-pause",
        "Pause the study?",
        ("The open round may still end; no further round opens until you resume.",),
        "The study is paused.",
        reason=False,
    ),
    "resume": Deed(
        "Resume",
        "player-play",
        "Resume the study?",
        (
            "The next round opens at once.",
            "A failed round is tried again: what its sites spent stays spent.",
        ),
        "The study is running again.",
        reason=False,
    ),
    "withdraw": Deed(
        "Withdraw",
        "player-stop",
        "Withdraw the study for good?",
        (
            "It can never be resumed. No further round opens.",
            "What was spent stays in the ledger, and models already made remain.",
        ),
        "The study is withdrawn.",
        hurts=True,
        reason=True,
    ),
}
PART_DEEDS = {
    "decline": Deed(
        "Decline",
        "x",
        "Decline this protocol?",
        (
            "The study cannot start with your institution in its cohort.",
            "Its lead reads your reason and may revise the protocol; then you are asked again.",
        ),
        "You declined; the lead has been told why.",
        hurts=True,
        reason=True,
    ),
    "withdraw": Deed(
        "Withdraw our institution",
        "ban",
        "Withdraw your institution from this study?",
        (
            "Your site is asked for nothing more.",
            "What it already released cannot be recalled, and stays charged to your budget.",
            "The study may fall below its quorum and stop.",
        ),
        "Your institution has left the study.",
        hurts=True,
        reason=True,
    ),
}


@login_required
@require_http_methods(["GET", "POST"])
def act_on_study(request: HttpRequest, slug: str, action: str) -> HttpResponse:
    """Ask, then move the study; its lead."""
    study = access.study_or_404(request.user, slug)
    deed = _deed(STUDY_DEEDS, action)
    access.require_action(request.user, study, action)
    form = _form(request, deed)
    if request.method == "POST" and (form is None or form.is_valid()):
        step = partial(getattr(study_service, action), study, by=request.user, **_reason(form))
        attempt(request, deed.done, step)
        return redirect("study", slug=slug)
    context = {"study": study, "deed": deed, "form": form}
    return render(request, "studies/act.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def act_on_participation(
    request: HttpRequest, slug: str, institution: str, action: str
) -> HttpResponse:
    """Ask, then decline or leave; the institution's site admins."""
    part = access.participation_or_404(request.user, slug, institution)
    deed = _deed(PART_DEEDS, action)
    access.require_decide(request.user, part)
    form = _form(request, deed)
    if request.method == "POST" and (form is None or form.is_valid()):
        step = partial(getattr(participation_service, action), part, by=request.user)
        attempt(request, deed.done, partial(step, **_reason(form)))
        return redirect("study", slug=slug)
    context = {"study": part.study, "part": part, "deed": deed, "form": form}
    return render(request, "studies/act.html", context)


def _deed(deeds: dict[str, Deed], action: str) -> Deed:
    if action not in deeds:
        raise Http404
    return deeds[action]


def _form(request: HttpRequest, deed: Deed) -> ReasonForm | None:
    if deed.reason is None:
        return None
    form = ReasonForm if deed.reason else OptionalReasonForm
    return form(request.POST if request.method == "POST" else None)


def _reason(form: ReasonForm | None) -> dict[str, str]:
    return {"reason": form.cleaned_data["reason"]} if form else {}
