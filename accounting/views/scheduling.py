"""Reports by e-mail: asking for one regularly, and ending that."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounting.reports import rights
from accounting.services import scheduling
from accounting.views.reports import asked
from studies.views.gates import attempt


@login_required
@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """The scope of the query, regularly, to the address that was sent."""
    scope = asked(request)
    if not rights.may_issue(request.user, scope):
        raise PermissionDenied("compliance officers of what a report is about have it sent")
    every, address = request.POST.get("every", ""), request.POST.get("address", "").strip()
    done = attempt(
        request,
        f"The report goes to {address} every {every}; the first one is on its way.",
        lambda: scheduling.schedule(request.user, scope, every, address),
    )
    return redirect("reports" if done else f"{reverse('report-show')}?{scope.text}")


@login_required
@require_POST
def end(request: HttpRequest, number: int) -> HttpResponse:
    """End one of the person's own schedules."""
    if not rights.may_report(request.user):
        raise Http404
    attempt(request, "The delivery has ended.", lambda: scheduling.end(request.user, number))
    return redirect("reports")
