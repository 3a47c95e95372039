"""The home page: one section per role of the reader, each answering that role's first question."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from studies.selectors import front
from studies.selectors.news import last_event_id


@login_required
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The frame; its sections come with it and are fetched again on news."""
    context = {
        "news_path": "/ws/news/",
        "news_after": last_event_id(request.user),
        "sections": front.sections(request.user),
    }
    return render(request, "home.html", context)


@login_required
@require_GET
def sections(request: HttpRequest) -> HttpResponse:
    """The sections alone; they hold nothing but what the person's own roles show."""
    return render(request, "parts/home.html", {"sections": front.sections(request.user)})
