"""Issued reports: the list, asking for one, watching it being computed, reading and signing it."""

import json

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounting.canonical import canonical_json
from accounting.models import IssuedReport, ReportRequest, ReportSchedule, RequestStatus
from accounting.reports import rights, seals
from accounting.reports.build import Report
from accounting.reports.forms import ScopeForm, SignForm
from accounting.reports.older import modern
from accounting.reports.renderings import FORMS, page_context, rendered
from accounting.reports.schema import schema
from accounting.reports.scopes import Scope
from accounting.reports.stamps import stamp
from accounting.reports.trail import entries
from accounting.selectors import bundle, reconciliation
from accounting.services import checkpoints, reports
from accounting.views import bundles
from accounting.views.reports import asked, told
from studies.attachments import JSON, attachment
from studies.models import Institution, Study

SHOWN = 50
STOP_POLLING = 286  # htmx's own
MOST_TRIES = 5  # wrong passwords in one session, before it ends
TRIES = "report-signature-tries"


@login_required
@require_http_methods(["GET", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """What was issued, and the form: show a preview (GET on), or have it issued (POST)."""
    if not rights.may_report(request.user):
        raise Http404
    sent = request.POST if request.method == "POST" else None
    form = ScopeForm(sent, person=request.user)
    if form.is_valid():
        if rights.may_read(request.user, form.scope):
            return redirect(f"{reverse('report-show')}?{form.scope.text}")
        form.add_error(None, "Of this you may read parts only: choose a study or an institution.")
    rows = rights.readable(request.user)[:SHOWN]
    context = {
        "form": form,
        "rows": [(row, Scope.parse(row.scope)) for row in rows],
        "open": _open_requests(request),
        "schedules": [(row, Scope.parse(row.scope)) for row in _schedules(request)],
    }
    return render(request, "accounting/reports.html", context)


def _schedules(request: HttpRequest) -> QuerySet[ReportSchedule]:
    return ReportSchedule.objects.filter(person=request.user)


def _open_requests(request: HttpRequest) -> list[tuple[ReportRequest, Scope]]:
    rows = ReportRequest.objects.filter(status__in=reports.OPEN)
    found = [(row, Scope.parse(row.scope)) for row in rows]
    return [(row, scope) for row, scope in found if rights.may_read(request.user, scope)]


@login_required
@require_POST
def issue(request: HttpRequest) -> HttpResponse:
    """Ask for the report of the scope that was sent; a worker computes it."""
    scope = asked(request)
    if not rights.may_issue(request.user, scope):
        raise PermissionDenied("compliance officers of what a report is about issue it")
    with transaction.atomic():
        row = reports.ask(scope, request.user)
    return redirect("report-request", row.pk)


@login_required
@require_GET
def progress(request: HttpRequest, number: int) -> HttpResponse:
    """How far a requested report is: a page that fetches its panel until there is a report."""
    return _progress(request, number, "accounting/report_request.html")


@login_required
@require_GET
def progress_panel(request: HttpRequest, number: int) -> HttpResponse:
    """The part of that page that changes; htmx is sent to the report once it is issued."""
    answer = _progress(request, number, "accounting/panels/report_request.html")
    row = ReportRequest.objects.select_related("report").get(pk=number)
    if row.report:
        answer["HX-Redirect"] = reverse("issued-report", args=[row.report.sha256])
    if row.status == RequestStatus.FAILED:
        answer.status_code = STOP_POLLING
    return answer


def _progress(request: HttpRequest, number: int, template: str) -> HttpResponse:
    row = ReportRequest.objects.select_related("report", "by").filter(pk=number).first()
    if row is None:
        raise Http404
    scope = _scope(row.scope)
    _require(request, scope)
    context = {"row": row, "scope": scope, "moving": row.status in reports.OPEN}
    return render(request, template, context | {"failed": row.status == RequestStatus.FAILED})


@login_required
@require_GET
def page(request: HttpRequest, sha256: str) -> HttpResponse:
    """An issued report, its signatures, and what superseded it."""
    row, scope = _issued(request, sha256)
    others = IssuedReport.objects.filter(scope=row.scope).exclude(pk=row.pk)
    context = page_context(_report(row), stamp(row)) | {
        "row": row,
        "scope": scope,
        "study": Study.objects.filter(slug=scope.study).first(),
        "institution": Institution.objects.filter(slug=scope.institution).first(),
        "newer": IssuedReport.objects.filter(supersedes=row).first(),
        "others": others[:SHOWN],
        "may_issue": rights.may_issue(request.user, scope),
        "may_bundle": rights.may_take_entries(request.user, scope),
        "may_sign": rights.may_sign(request.user, scope),
    }
    return render(request, "accounting/report.html", context)


@login_required
@require_GET
def as_file(request: HttpRequest, sha256: str, form: str) -> HttpResponseBase:
    """The issued report as JSON, CSV, PDF; or with its signatures, for the verifier."""
    row, scope = _issued(request, sha256)
    report, name = _report(row), f"{scope.file_name}-{row.number}"
    if form == "signed.json":
        data = canonical_json(seals.bundled(row)).encode()
        return attachment(data, FORMS["json"], f"{name}.signed.json")
    if form == "bundle.json":
        return _bundle(request, row, scope, f"{name}.bundle.json")
    if form not in FORMS:
        raise Http404
    told(request, scope, form, report)
    return attachment(rendered(report, form, stamp(row)), FORMS[form], f"{name}.{form}")


def _bundle(request: HttpRequest, row: IssuedReport, scope: Scope, name: str) -> HttpResponseBase:
    """The report with the entries that it is about, each proved to be in the hub's signed tree.

    Only for those who may read every body: one tells what its dataset spent in all studies.
    """
    if not rights.may_take_entries(request.user, scope):
        raise PermissionDenied("entries tell lifetime budgets; institutions and officers read them")
    about = {"kind": "report", **scope.parameters}
    slugs = {part["institution"] for part in json.loads(row.text)["parameters"]["institutions"]}
    seen = [said for said in reconciliation.witnesses() if said["institution"] in slugs]
    try:
        checkpoints.issue()
        pieces = bundle.pieces(
            entries(scope), scope=about, witnesses=seen, report=seals.bundled(row)
        )
    except bundles.BROKEN as error:
        return bundles.refused(request, error)
    return attachment(pieces, JSON, name)


@login_required
@require_http_methods(["GET", "POST"])
def sign(request: HttpRequest, sha256: str) -> HttpResponse:
    """Sign an issued report: a meaning from the closed list, and the password anew."""
    row, scope = _issued(request, sha256)
    if not rights.may_sign(request.user, scope):
        raise PermissionDenied("officers and site admins of what a report is about sign it")
    form = SignForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            reports.sign(row, by=request.user, **form.cleaned_data)
        except reports.NotSigned as refusal:
            form.add_error(None, f"Not signed: {refusal}.")
            return _after_refusal(request, form, row, scope)
        request.session.pop(TRIES, None)
        messages.success(request, "Signed. The report carries your name now.")
        return redirect("issued-report", row.sha256)
    return _sign_page(request, form, row, scope)


def _after_refusal(
    request: HttpRequest, form: SignForm, row: IssuedReport, scope: Scope
) -> HttpResponse:
    """Somebody at a borrowed screen gets few tries."""
    request.session[TRIES] = request.session.get(TRIES, 0) + 1
    if request.session[TRIES] >= MOST_TRIES:
        logout(request)
        return redirect("login")
    return _sign_page(request, form, row, scope)


def _sign_page(
    request: HttpRequest, form: SignForm, row: IssuedReport, scope: Scope
) -> HttpResponse:
    context = {"form": form, "row": row, "scope": scope, "document": json.loads(row.text)}
    return render(request, "accounting/report_sign.html", context)


@login_required
@require_GET
def published_schema(request: HttpRequest) -> HttpResponse:
    """The JSON Schema that every report keeps to."""
    return JsonResponse(schema(), json_dumps_params={"indent": 2, "ensure_ascii": False})


def _issued(request: HttpRequest, sha256: str) -> tuple[IssuedReport, Scope]:
    row = IssuedReport.objects.select_related("by").filter(sha256=sha256).first()
    if row is None:
        raise Http404
    scope = _scope(row.scope)
    _require(request, scope)
    return row, scope


def _report(row: IssuedReport) -> Report:
    return Report(modern(json.loads(row.text)), row.text, row.sha256)


def _scope(text: str) -> Scope:
    try:
        return Scope.parse(text)
    except ValueError as error:
        raise Http404 from error


def _require(request: HttpRequest, scope: Scope) -> None:
    if not rights.may_read(request.user, scope):
        raise Http404
