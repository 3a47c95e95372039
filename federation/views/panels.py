"""The live panels of a study's rounds: each site's phase, the utility, the one-line progress."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from federation import charts
from federation.selectors import audits, live, models
from federation.views.seats import seen_rounds
from studies import access
from studies.selectors.protocols import protocol_of


@login_required
@require_GET
def rounds(request: HttpRequest, slug: str) -> HttpResponse:
    """Every round with the sites whose part the person may see."""
    study = access.study_or_404(request.user, slug)
    seen = set(access.institutions_in(request.user, study).values_list("slug", flat=True))
    leads = access.may_lead(request.user, study)
    context = {
        "study": study,
        "planned": protocol_of(study).rounds.count,
        "board": seen_rounds(live.timeline(study), seen, protocol_of(study).rounds.count),
        "cancellable": live.cancellable(study) if leads else None,
        "closable": live.can_close_below_quorum(study) if leads else None,
    }
    return render(request, "federation/panels/rounds.html", context)


@login_required
@require_GET
def utility(request: HttpRequest, slug: str) -> HttpResponse:
    """How well each round's model does, as a chart and a table."""
    study = access.study_or_404(request.user, slug)
    rows = models.utility(study)
    context = {
        "study": study,
        "protocol": protocol_of(study),
        "rows": rows[::-1],
        "newest": rows[-1] if rows else None,
        "figure": charts.utility(rows) if rows else None,
    }
    return render(request, "federation/panels/utility.html", context)


@login_required
@require_GET
def audit(request: HttpRequest, slug: str) -> HttpResponse:
    """What the empirical audit bounds ε by, for the institutions whose part the person may see."""
    study = access.study_or_404(request.user, slug)
    seen = set(access.institutions_in(request.user, study).values_list("slug", flat=True))
    every = audits.audits(study)
    rows = [row for row in every if row.institution.slug in seen]
    context = {
        "study": study,
        "protocol": protocol_of(study),
        "rows": rows,
        "together": audits.together(study) if len(rows) == len(every) else None,
    }
    return render(request, "federation/panels/audit.html", context)


@login_required
@require_GET
def progress(request: HttpRequest, slug: str) -> HttpResponse:
    """One line for the home page: the open round and whom it waits for."""
    study = access.study_or_404(request.user, slug)
    seen = set(access.institutions_in(request.user, study).values_list("slug", flat=True))
    context = {
        "round": live.current(study),
        "planned": protocol_of(study).rounds.count,
        "waiting": [cell for cell in live.holding_up(study) if cell.institution in seen],
    }
    return render(request, "federation/panels/progress.html", context)
