"""A site admin reads what would leave and what it costs, and lends a dataset to it."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from federation.protocol import plans
from federation.protocol.machines import class_at, own
from studies import access
from studies.forms.decisions import ApproveForm
from studies.models import Participation
from studies.selectors.actions import participation_actions
from studies.selectors.leaving import leaving
from studies.selectors.protocols import changes_since_decision, protocol_of
from studies.services import participations as service
from studies.templatetags.cloister import number
from studies.views.gates import attempt


@login_required
@require_http_methods(["GET", "POST"])
def approve(request: HttpRequest, slug: str, institution: str) -> HttpResponse:
    """Approve exactly the protocol whose digest the page showed; the institution's site admins."""
    part = access.participation_or_404(request.user, slug, institution)
    access.require_decide(request.user, part)
    form = _form(request, part)
    if request.method == "POST" and form.is_valid() and _approve(request, part, form):
        return redirect("study", slug=slug)
    part.refresh_from_db()
    whole = protocol_of(part.study)
    protocol = own(whole, institution)
    context = {
        "part": part,
        "study": part.study,
        "protocol": protocol,
        "machine": class_at(protocol, institution),
        "stops_at": plans.epsilon_budget(whole, institution) if protocol.training.classes else None,
        "leaving": leaving(protocol),
        "changes": changes_since_decision(part),
        "actions": [action.name for action in participation_actions(request.user, part)],
        "datasets": _offered(part),
        "form": form if not form.is_bound or form.errors else _form(None, part),
    }
    return render(request, "studies/approve.html", context)


def _approve(request: HttpRequest, part: Participation, form: ApproveForm) -> bool:
    values = form.cleaned_data
    return attempt(
        request,
        f"{part.institution} approved the protocol and lends {values['dataset']}.",
        lambda: service.approve(
            part,
            by=request.user,
            dataset=values["dataset"],
            protocol_digest=values["protocol_digest"],
        ),
    )


def _form(request: HttpRequest | None, part: Participation) -> ApproveForm:
    choices = [(row["name"], _described(row)) for row in _offered(part)]
    posted = request.POST if request and request.method == "POST" else None
    initial = {"protocol_digest": part.study.protocol_digest}
    if len(choices) == 1:
        initial["dataset"] = choices[0][0]
    return ApproveForm(posted, datasets=choices, initial=initial)


def _described(row: dict[str, str]) -> str:
    """A dataset with what its owner allows it to spend, ever."""
    if "epsilon" not in row or "delta" not in row:
        return row["name"]
    most = f"ε ≤ {row['epsilon']} at δ = {number(row['delta'])}"
    return f"{row['name']} (lifetime budget, all studies: {most})"


def _offered(part: Participation) -> list[dict[str, str]]:
    return part.institution.offer.get("datasets", [])
