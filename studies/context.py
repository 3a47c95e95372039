"""What every page needs around its content: the places to go, and the reader's roles."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from studies.models import Membership, Role


@dataclass(frozen=True)
class Place:
    """One entry of the main navigation."""

    name: str
    url: str
    icon: str
    here: bool


# URL name → label, icon, and the roles that see it in the navigation (rights are the views' own).
EVERY_ROLE = frozenset(Role)
PLACES = (
    ("home", "Home", "home", EVERY_ROLE),
    ("studies", "Studies", "flask", EVERY_ROLE - {Role.OPERATOR}),
    ("institutions", "Institutions", "building-hospital", EVERY_ROLE),
    ("ledger", "Ledger", "book-2", EVERY_ROLE - {Role.OPERATOR}),
    ("reports", "Reports", "report", EVERY_ROLE - {Role.OPERATOR}),
    ("violations", "Violations", "flag", frozenset((Role.COMPLIANCE_OFFICER, Role.SITE_ADMIN))),
)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """`places` and `memberships` of whoever is logged in; nothing for anyone else."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"places": (), "memberships": ()}
    memberships = tuple(Membership.objects.filter(person=user).select_related("institution"))
    return {"places": _places(request.path, memberships), "memberships": memberships}


def _places(path: str, memberships: tuple[Membership, ...]) -> tuple[Place, ...]:
    roles = {membership.role for membership in memberships}
    return tuple(
        Place(label, reverse(name), icon, _is_here(path, reverse(name)))
        for name, label, icon, seen_by in PLACES
        if name == "home" or roles & seen_by
    )


def _is_here(path: str, place: str) -> bool:
    return path == place if place == reverse("home") else path.startswith(place)
