"""Writing a study: by form or from a study file, as a new draft or as a revision."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from federation.protocol import study_file
from federation.protocol.document import Protocol
from federation.protocol.idle import idle
from studies import access
from studies.forms.imports import ImportForm
from studies.forms.protocol import ProtocolForms
from studies.models import Study
from studies.selectors.leaving import leaving
from studies.selectors.protocols import protocol_of
from studies.selectors.readiness import said_class
from studies.services import studies as service
from studies.services.errors import PublicRowsRefused
from studies.states import STUDY_MOVES, actions
from studies.views.gates import ANSWERED, sentence


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new draft from the form; study leads."""
    access.require_create_study(request.user)
    return _by_form(request, None)


@login_required
@require_http_methods(["GET", "POST"])
def import_new(request: HttpRequest) -> HttpResponse:
    """A new draft from a study file; study leads."""
    access.require_create_study(request.user)
    return _by_file(request, None)


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """A revision by the form; the study's lead."""
    study = access.led_study_or_404(request.user, slug)
    return _fixed(request, study) or _by_form(request, study)


@login_required
@require_http_methods(["GET", "POST"])
def import_edit(request: HttpRequest, slug: str) -> HttpResponse:
    """A revision from a study file; the study's lead."""
    study = access.led_study_or_404(request.user, slug)
    return _fixed(request, study) or _by_file(request, study)


def _fixed(request: HttpRequest, study: Study) -> HttpResponse | None:
    """The way back, when the protocol cannot be changed any more (or not while running)."""
    if "revise" in actions(STUDY_MOVES, study.status, "lead"):
        return None
    messages.error(request, f"The protocol cannot be changed while the study is {study.status}.")
    return redirect("study", slug=study.slug)


def _by_form(request: HttpRequest, study: Study | None) -> HttpResponse:
    institutions = [
        (row.slug, f"{row} ({said} machine)" if (said := said_class(row)) else row.name)
        for row in access.institutions_for(request.user)
    ]
    posted = request.method == "POST"
    forms = ProtocolForms(
        request.POST if posted else None,
        request.FILES if posted else None,
        institutions=institutions,
        current=protocol_of(study) if study else None,
    )
    if posted and forms.is_valid():
        try:
            return _keep(request, study, forms.protocol, forms.public_rows())
        except PublicRowsRefused as error:
            forms.parts["evaluation"].add_error("public_rows", sentence(error))
        except ANSWERED as error:
            forms.faults.append(sentence(error))
    context = {"forms": forms, "study": study, "posted": posted}
    return render(request, "studies/write.html", context, status=422 if posted else 200)


def _by_file(request: HttpRequest, study: Study | None) -> HttpResponse:
    posted = request.method == "POST"
    offered = {"text": study_file.example()} if "example" in request.GET else None
    form = ImportForm(*((request.POST, request.FILES) if posted else ()), initial=offered)
    if posted and form.is_valid():
        values = form.cleaned_data
        try:
            return _keep(request, study, values["protocol"], values["public_rows"])
        except PublicRowsRefused as error:
            form.add_error("public_rows", sentence(error))
        except ANSWERED as error:
            form.add_error(None, sentence(error))
    context = {"form": form, "study": study}
    return render(request, "studies/import.html", context, status=422 if posted else 200)


def _keep(request: HttpRequest, study: Study | None, protocol: Protocol, rows: Any) -> HttpResponse:
    """Write the draft or the revision; raises what the service refuses with."""
    if study is None:
        step = partial(service.create, protocol=protocol)
        said = "The draft is kept. Read it once more, then submit it."
    else:
        step = partial(service.revise, study, protocol)
        said = "The protocol is changed."
    kept = step(by=request.user, public_evaluation=rows)
    messages.success(request, said)
    if leaving(protocol).crowded:
        messages.warning(
            request,
            f"{protocol.canaries} canaries are many for the smallest site: about half of them "
            "train there and are noise to the model. Use fewer, or expect less utility.",
        )
    for told in idle(protocol):
        messages.warning(request, f"{told}.")
    return redirect("study-protocol", slug=kept.slug)
