"""The panels that other pages carry: a study's burn-down, and what lending would cost."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounting import charts
from accounting.keys import Limit
from accounting.selectors import attestations, commitments, forecasts, lending, overview, spending
from federation.protocol import plans
from federation.protocol.document import Protocol
from studies import access
from studies.selectors.protocols import protocol_of


@login_required
@require_GET
def budget(request: HttpRequest, slug: str) -> HttpResponse:
    """ε burn-down per site that the person may see, against the study's budget."""
    study = access.study_or_404(request.user, slug)
    protocol = protocol_of(study)
    losses = overview.losses(study, access.institutions_in(request.user, study))
    kept = {loss.institution.slug: loss.claim.by for loss in losses}
    budgets = [loss.budget for loss in losses if loss.budget is not None]
    spent = spending.burn_downs(study.slug, protocol.privacy.target_delta, kept)
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
            budget=min(budgets, default=None),
            name=charts.budget_name(budgets),
            ahead=_ahead(study.slug, protocol, losses, curves),
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
    plan = plans.plan_events(protocol, part.institution.slug) if protocol.plan else ()
    bound = _bound(protocol, part.institution.slug)
    context = {"study": part.study, "protocol": protocol, "bound": bound}
    try:
        context["prospects"] = lending.prospects(
            part.study.slug, part.institution.slug, plan, unit=protocol.data.unit, bound=bound
        )
    except commitments.Unreadable as error:
        context["broken"] = str(error)
    return render(request, "accounting/panels/lending.html", context)


def _ahead(
    study: str, protocol: Protocol, losses: list[overview.Loss], curves: list[charts.Curve]
) -> forecasts.Points:
    """How the sealed plan goes on where most was spent; nothing where the plan was left."""
    place = charts.leading(curves)
    if place is None or losses[place].claim.is_odometer:
        return ()
    done = curves[place].points[-1][0] if curves[place].points else 0
    return forecasts.ahead(study, losses[place].institution.slug, protocol, done)


def _bound(protocol: Protocol, institution: str) -> Limit | None:
    """What an adaptive study may spend at most at one site; None where a plan is sealed."""
    if not protocol.privacy.adaptive:
        return None
    return Limit(plans.epsilon_budget(protocol, institution), protocol.privacy.target_delta)
