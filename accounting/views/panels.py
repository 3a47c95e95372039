"""The panels that other pages carry: a study's burn-down, and what lending would cost."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounting import charts
from accounting.selectors import attestations, lending, overview, spending
from federation.protocol import plans
from studies import access
from studies.selectors.protocols import protocol_of


@login_required
@require_GET
def budget(request: HttpRequest, slug: str) -> HttpResponse:
    """ε burn-down per site that the person may see, against the study's budget."""
    study = access.study_or_404(request.user, slug)
    protocol = protocol_of(study)
    losses = overview.losses(study, access.institutions_in(request.user, study))
    spent = spending.burn_downs(study.slug, protocol.privacy.target_delta)
    curves = [
        charts.Curve(
            loss.institution.name,
            tuple((number, f.epsilon) for number, f in spent.get(loss.institution.slug, ())),
        )
        for loss in losses
    ]
    context = {
        "study": study,
        "protocol": protocol,
        "losses": losses,
        "attested": attestations.in_force(study),
        "may_attest": study.status != "draft" and access.may_attest(request.user, study),
        "figure": charts.burn_down(
            curves,
            rounds=protocol.rounds.count,
            budget=overview.study_budget(protocol),
            planned=float(protocol.plan.epsilon) if protocol.plan else None,
        ),
    }
    return render(request, "accounting/panels/budget.html", context)


@login_required
@require_GET
def lend(request: HttpRequest, slug: str, institution: str) -> HttpResponse:
    """For the approval page: each lifetime budget before and after the whole plan."""
    part = access.participation_or_404(request.user, slug, institution)
    if not access.may_read_offer(request.user, part.institution):
        raise Http404
    protocol = protocol_of(part.study)
    plan = plans.plan_events(protocol) if protocol.plan else ()
    context = {
        "study": part.study,
        "protocol": protocol,
        "prospects": lending.prospects(part.study.slug, part.institution.slug, plan),
    }
    return render(request, "accounting/panels/lending.html", context)
