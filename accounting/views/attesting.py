"""The page on which a person answers for it that no patient is at two institutions."""

from functools import partial

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounting.forms.budgets import AttestForm, UnattestForm
from accounting.selectors import attestations
from accounting.services import attesting
from studies import access
from studies.models import Institution
from studies.selectors.protocols import protocol_of
from studies.views.gates import attempt


@login_required
@require_http_methods(["GET", "POST"])
def attest(request: HttpRequest, slug: str) -> HttpResponse:
    """Attest, or take it back; the study's lead and its officers."""
    study = access.study_or_404(request.user, slug)
    access.require_attest(request.user, study)
    found = attestations.in_force(study)
    form = (UnattestForm if found else AttestForm)(request.POST or None)
    if form.is_valid():
        service = attesting.withdraw if found else attesting.attest
        done = "The attestation is withdrawn." if found else "Your attestation is in the ledger."
        if attempt(
            request, done, partial(service, study, form.cleaned_data["text"], by=request.user)
        ):
            return redirect("study", slug=slug)
    slugs = [member.institution for member in protocol_of(study).cohort]
    names = dict(Institution.objects.filter(slug__in=slugs).values_list("slug", "name"))
    cohort = [names.get(slug, slug) for slug in slugs]
    context = {"study": study, "found": found, "form": form, "cohort": cohort}
    return render(request, "accounting/attest.html", context)
