"""The ε report: the page, and its downloads. `?institution=SLUG` narrows it to one house."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounting.reports.build import Report, build
from accounting.reports.pdf.document import pdf_bytes
from accounting.reports.table import csv_text
from accounting.selectors import visible
from studies import access
from studies.models import Institution, Study
from studies.services import events


@login_required
@require_GET
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """The report as a page."""
    study, institution = _scope(request, slug)
    context = {
        "study": study,
        "institution": institution,
        "report": build(study, institution),
        "whole": access.sees_whole(request.user, study),
        "may_export": visible.may_export(request.user, study),
        "houses": [
            house
            for house in access.institutions_in(request.user, study)
            if access.may_read_offer(request.user, house)
        ],
    }
    return render(request, "accounting/report.html", context)


@login_required
@require_GET
def as_json(request: HttpRequest, slug: str) -> HttpResponse:
    """The report itself: canonical JSON, whose SHA-256 the other renderings carry."""
    report, name = _download(request, slug, "json")
    return _attachment(report.text.encode(), "application/json", name)


@login_required
@require_GET
def as_csv(request: HttpRequest, slug: str) -> HttpResponse:
    """One row per mechanism."""
    report, name = _download(request, slug, "csv")
    return _attachment(csv_text(report).encode(), "text/csv; charset=utf-8", name)


@login_required
@require_GET
def as_pdf(request: HttpRequest, slug: str) -> HttpResponse:
    """The report for a board."""
    report, name = _download(request, slug, "pdf")
    return _attachment(pdf_bytes(report), "application/pdf", name)


def _download(request: HttpRequest, slug: str, form: str) -> tuple[Report, str]:
    study, institution = _scope(request, slug)
    report = build(study, institution)
    events.record(
        "report_downloaded",
        study=study,
        institution=institution,
        by=request.user,
        form=form,
        sha256=report.digest,
    )
    scope = f"-{institution.slug}" if institution else ""
    return report, f"{study.slug}{scope}-report.{form}"


def _scope(request: HttpRequest, slug: str) -> tuple[Study, Institution | None]:
    """The study and, where asked for or where only that may be seen, the institution."""
    study = access.study_or_404(request.user, slug)
    wanted = request.GET.get("institution")
    if wanted is None and access.may_read_report(request.user, study):
        return study, None
    for house in access.institutions_in(request.user, study):
        if wanted in (None, house.slug) and access.may_read_offer(request.user, house):
            return study, house
    raise Http404


def _attachment(data: bytes, kind: str, name: str) -> HttpResponse:
    answer = HttpResponse(data, content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "private, no-store"
    return answer
