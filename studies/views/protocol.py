"""The protocol: to read, to compare and to take away as a study file."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from federation.learning import architectures
from federation.protocol import diff, study_file
from federation.protocol.document import Protocol
from studies import access
from studies.attachments import attachment
from studies.models import Revision, Study
from studies.selectors.actions import study_actions
from studies.selectors.leaving import leaving
from studies.selectors.protocols import changes_between, protocol_of


@dataclass(frozen=True)
class Step:
    """One revision with what it changed against the one before."""

    revision: Revision
    changes: list[diff.Change]


@login_required
@require_GET
def read(request: HttpRequest, slug: str) -> HttpResponse:
    """Every section in words, the sealed plan and the revisions."""
    study = access.study_or_404(request.user, slug)
    protocol = protocol_of(study)
    context = {
        "study": study,
        "protocol": protocol,
        "leaving": leaving(protocol),
        "architecture": architectures.get(protocol.model.architecture),
        "parameters": _parameters(protocol),
        "steps": _steps(study),
        "leads": access.may_lead(request.user, study),
        "may_revise": any(a.name == "revise" for a in study_actions(request.user, study)),
    }
    return render(request, "studies/protocol.html", context)


@login_required
@require_GET
def export(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The protocol as a study file (TOML), without the plan that the hub derived."""
    study = access.study_or_404(request.user, slug)
    text = study_file.write(protocol_of(study))
    return attachment(text, "application/toml", f"{study.slug}.toml")


def _parameters(protocol: Protocol) -> dict[str, Any]:
    """Those that were left to their defaults, too; a document of another time as it stands."""
    model = protocol.model
    try:
        return architectures.read(model.architecture, model.parameters).model_dump()
    except architectures.ArchitectureError:
        return model.parameters


def _steps(study: Study) -> list[Step]:
    """Newest first."""
    rows = list(study.revisions.select_related("by"))
    pairs = zip([None, *rows], rows, strict=False)
    steps = [Step(new, changes_between(old, new) if old else []) for old, new in pairs]
    return steps[::-1]
