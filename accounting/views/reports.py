"""The ε report as the ledger stands: the page, and its downloads, for every scope.

A study's report has an address of its own (`?institution=SLUG` narrows it to one house); every
other scope is `/reports/show/` with the scope in the query.
"""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounting.reports import rights
from accounting.reports.build import REFUSED, Report, preview
from accounting.reports.renderings import FORMS, page_context, rendered
from accounting.reports.scopes import Scope, ScopeError
from accounting.selectors import visible
from accounting.views import bundles
from studies import access
from studies.attachments import attachment
from studies.models import Institution, Study
from studies.services import events


@login_required
@require_GET
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """The report of a study as a page."""
    return _page(request, _of_study(request, slug))


@login_required
@require_GET
def as_file(request: HttpRequest, slug: str, form: str) -> HttpResponseBase:
    """The report of a study as JSON (the truth), CSV or PDF."""
    return _file(request, _of_study(request, slug), form)


@login_required
@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """The report of any scope as a page."""
    return _page(request, asked(request))


@login_required
@require_GET
def show_as(request: HttpRequest, form: str) -> HttpResponseBase:
    """The report of any scope as JSON, CSV or PDF."""
    return _file(request, asked(request), form)


def _page(request: HttpRequest, scope: Scope) -> HttpResponse:
    study = Study.objects.filter(slug=scope.study).first()
    try:
        report = preview(scope)
    except REFUSED as error:
        return bundles.unclaimed(request, error)
    context = page_context(report) | {
        "scope": scope,
        "study": study,
        "institution": Institution.objects.filter(slug=scope.institution).first(),
        "whole": study and access.sees_whole(request.user, study),
        "may_export": study and visible.may_export(request.user, study),
        "may_issue": rights.may_issue(request.user, scope),
        "houses": _houses(request, study) if study else (),
    }
    return render(request, "accounting/report.html", context)


def _houses(request: HttpRequest, study: Study) -> list[Institution]:
    return [
        house
        for house in access.institutions_in(request.user, study)
        if access.may_read_offer(request.user, house)
    ]


def _file(request: HttpRequest, scope: Scope, form: str) -> HttpResponseBase:
    if form not in FORMS:
        raise Http404
    try:
        report = preview(scope)
    except REFUSED as error:
        return bundles.unclaimed(request, error)
    told(request, scope, form, report)
    return attachment(rendered(report, form), FORMS[form], f"{scope.file_name}.{form}")


def told(request: HttpRequest, scope: Scope, form: str, report: Report) -> None:
    """Keep that the person took a report away."""
    events.record(
        "report_downloaded",
        study=Study.objects.filter(slug=scope.study).first(),
        institution=Institution.objects.filter(slug=scope.institution).first(),
        by=request.user,
        form=form,
        sha256=report.digest,
    )


def _of_study(request: HttpRequest, slug: str) -> Scope:
    """The study and, where asked for or where only that may be seen, the institution."""
    study = access.study_or_404(request.user, slug)
    wanted = request.GET.get("institution")
    if wanted is None and access.may_read_report(request.user, study):
        return Scope(study.slug)
    for house in _houses(request, study):
        if wanted in (None, house.slug):
            return Scope(study.slug, house.slug)
    raise Http404


def asked(request: HttpRequest) -> Scope:
    """The scope of the query, where the person may read it; else it does not exist."""
    try:
        scope = Scope.read(request.GET.dict())
    except ScopeError as error:
        raise Http404 from error
    if not rights.may_read(request.user, scope):
        raise Http404
    return scope
