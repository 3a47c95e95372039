"""The home page: one section per role of the reader."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Answer each role's first question."""
    return render(request, "home.html", {})
