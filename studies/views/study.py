"""The study's own pages: the list, the frame of live panels, and the panels of this package."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from federation.protocol.machines import class_at, own
from studies import access
from studies.models import Study
from studies.selectors.actions import participation_actions, study_actions
from studies.selectors.news import last_event_id
from studies.selectors.protocols import protocol_of
from studies.selectors.readiness import obstacles
from studies.selectors.sites import site
from studies.selectors.timeline import study_timeline
from studies.states import StudyStatus


@login_required
@require_GET
def listing(request: HttpRequest) -> HttpResponse:
    """Every study that the person may open."""
    context = {
        "studies": access.studies_for(request.user).select_related("lead"),
        "may_create": access.may_create_study(request.user),
    }
    return render(request, "studies/list.html", context)


@login_required
@require_GET
def overview(request: HttpRequest, slug: str) -> HttpResponse:
    """The frame; its panels fetch themselves and again on news."""
    study = access.study_or_404(request.user, slug)
    context = {
        "news_path": f"/ws/news/study/{study.slug}/",
        "news_after": last_event_id(request.user, study),
        "study": study,
        **_head(request, study),
    }
    return render(request, "studies/study.html", context)


@login_required
@require_GET
def head(request: HttpRequest, slug: str) -> HttpResponse:
    """The panel of status, next actions and who holds the study up."""
    study = access.study_or_404(request.user, slug)
    return render(request, "studies/panels/head.html", _head(request, study))


@login_required
@require_GET
def participations(request: HttpRequest, slug: str) -> HttpResponse:
    """The panel of the institutions whose part in the study the person may see."""
    study = access.study_or_404(request.user, slug)
    rows = access.participations_for(request.user, study).select_related("study", "institution")
    protocol = protocol_of(study)
    sizes = {m.institution: m.cohort_size for m in protocol.cohort}
    seats = [
        {
            "part": row,
            "site": site(row.institution),
            "size": sizes.get(row.institution.slug),
            "machine": class_at(protocol, row.institution.slug),
            "own": own(protocol, row.institution.slug) if protocol.training.classes else None,
            "actions": participation_actions(request.user, row),
        }
        for row in rows
    ]
    context = {
        "study": study,
        "seats": seats,
        "cohort": protocol.cohort,
        "unit": protocol.data.unit,
    }
    return render(request, "studies/panels/participations.html", context)


@login_required
@require_GET
def happenings(request: HttpRequest, slug: str) -> HttpResponse:
    """The panel of the study's newest events that the person may read."""
    study = access.study_or_404(request.user, slug)
    context = {"study": study, "lines": study_timeline(request.user, study)}
    return render(request, "studies/panels/events.html", context)


def _head(request: HttpRequest, study: Study) -> dict[str, object]:
    protocol = protocol_of(study)
    return {
        "study": study,
        "protocol": protocol,
        "actions": study_actions(request.user, study),
        "leads": access.may_lead(request.user, study),
        "obstacles": obstacles(study) if study.status == StudyStatus.SUBMITTED else [],
        "has_model": study.checkpoints.exists(),
        "asked": [
            part
            for part in access.participations_for(request.user, study).select_related("institution")
            if any(a.name == "approve" for a in participation_actions(request.user, part))
        ],
        "may_download": access.may_download_model(request.user, study),
    }
