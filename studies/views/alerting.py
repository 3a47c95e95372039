"""Violations: what needs an explanation, the explanations, and where to hear of new ones."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from studies import access
from studies.forms.alerting import ExplanationForm, SubscriptionForm
from studies.selectors import alerting
from studies.selectors.news import last_event_id
from studies.services import explanations, subscriptions
from studies.views.gates import attempt, sentence

SHOWN = 100


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """What nobody has explained yet, then what was; `?all` shows both at length."""
    return _page(request, SubscriptionForm())


def _page(request: HttpRequest, form: SubscriptionForm) -> HttpResponse:
    access.require_read_alerts(request.user)
    everything = alerting.alerts_for(request.user)
    context = {
        "news_path": "/ws/news/",
        "news_after": last_event_id(request.user),
        "open": alerting.shown(everything.filter(explanation=None), SHOWN),
        "closed": alerting.shown(everything.exclude(explanation=None), SHOWN),
        "open_count": everything.filter(explanation=None).count(),
        "may_explain": access.may_explain(request.user),
        "subscriptions": request.user.subscriptions.all(),
        "form": form,
        "shown": SHOWN,
    }
    return render(request, "alerts/list.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def explain(request: HttpRequest, number: int) -> HttpResponse:
    """One alert, and what an officer says about it."""
    event = access.alert_or_404(request.user, number)
    access.require_explain(request.user)
    form = ExplanationForm(request.POST or None)
    if form.is_valid() and attempt(
        request,
        "The explanation is kept beside the alert.",
        lambda: explanations.explain(event, form.cleaned_data["text"], by=request.user),
    ):
        return redirect("violations")
    context = {"alert": alerting.shown(type(event).objects.filter(pk=event.pk), 1)[0], "form": form}
    return render(request, "alerts/explain.html", context)


@login_required
@never_cache
@require_POST
def subscribe(request: HttpRequest) -> HttpResponse:
    """Add a subscription; a webhook's secret is shown this once."""
    access.require_read_alerts(request.user)
    form = SubscriptionForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    try:
        made = subscriptions.subscribe(request.user, **form.cleaned_data)
    except subscriptions.SubscriptionRefused as error:
        form.add_error("address", sentence(error))
        return _page(request, form)
    messages.success(request, f"Alerts go to {made.address} from now on.")
    if made.secret:
        return render(request, "alerts/secret.html", {"made": made})
    return redirect("violations")


@login_required
@require_POST
def unsubscribe(request: HttpRequest, number: int) -> HttpResponse:
    """End one of the person's own subscriptions."""
    access.require_read_alerts(request.user)
    subscriptions.end(request.user, number)
    messages.success(request, "The subscription has ended.")
    return redirect("violations")
