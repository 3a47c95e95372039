"""Institutions: who is in the federation, whether their sites are up, and how a site enrols."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from studies import access
from studies.forms.institutions import RegisterForm
from studies.selectors.sites import site, sites
from studies.services import institutions as service
from studies.services.enrolment import LIFETIME
from studies.services.errors import InvalidName
from studies.views.gates import attempt, sentence


@login_required
@require_GET
def listing(request: HttpRequest) -> HttpResponse:
    """Every institution that the person may know of."""
    context = {
        "sites": sites(access.institutions_for(request.user)),
        "may_register": access.may_register_institution(request.user),
    }
    return render(request, "institutions/list.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """Add one; study leads."""
    access.require_register_institution(request.user)
    form = RegisterForm(request.POST or None)
    if form.is_valid():
        values = form.cleaned_data
        try:
            made = service.register(
                name=values["name"], slug=values["slug"] or None, by=request.user
            )
        except InvalidName as error:
            form.add_error("slug", sentence(error))
        else:
            messages.success(request, f"{made} is registered. Next: enrol its site.")
            return redirect("institution", slug=made.slug)
    return render(request, "institutions/new.html", {"form": form})


@login_required
@require_GET
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One institution: its site and, for its own people, what it lends."""
    institution = access.institution_or_404(request.user, slug)
    may_read_offer = access.may_read_offer(request.user, institution)
    context = {
        "institution": institution,
        "site": site(institution),
        "may_issue_token": access.may_issue_token(request.user, institution),
        "may_administer": access.may_administer(request.user, institution),
        "may_read_offer": may_read_offer,
        "datasets": institution.offer.get("datasets", []) if may_read_offer else [],
    }
    return render(request, "institutions/detail.html", context)


@login_required
@never_cache
@require_POST
def token(request: HttpRequest, slug: str) -> HttpResponse:
    """Issue an enrolment token and show it, in this answer and never again."""
    institution = access.institution_or_404(request.user, slug)
    access.require_issue_token(request.user, institution)
    context = {
        "institution": institution,
        "token": service.issue_token(institution, by=request.user),
        "hub_url": settings.PUBLIC_URL,
        "hours": int(LIFETIME.total_seconds() // 3600),
    }
    return render(request, "institutions/token.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def revoke(request: HttpRequest, slug: str) -> HttpResponse:
    """Unpin the site's key, after a question; its site admins."""
    institution = access.institution_or_404(request.user, slug)
    access.require_administer(request.user, institution)
    if request.method == "POST":
        attempt(
            request,
            f"The key of {institution} is revoked: its site can do nothing until it enrols anew.",
            lambda: service.revoke_key(institution, by=request.user),
        )
        return redirect("institution", slug=slug)
    return render(request, "institutions/revoke.html", {"institution": institution})
