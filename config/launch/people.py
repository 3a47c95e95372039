"""The people of a demonstration: one per role, and one site admin per institution."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from config.secrets import own_secret
from studies.models import Institution, Person, Role
from studies.services import people

LEAD, ADMIN, OFFICER, OPERATOR = "lead", "admin", "officer", "operator"
_NAMES = {
    LEAD: ("Lena Lead", Role.STUDY_LEAD),
    OFFICER: ("Olaf Officer", Role.COMPLIANCE_OFFICER),
    OPERATOR: ("Oona Operator", Role.OPERATOR),
}


@dataclass(frozen=True)
class LogIns:
    """User names and the one password that a demonstration's people share."""

    names: tuple[str, ...]
    password: str


def site_admin(slug: str) -> str:
    """The user name of an institution's own site admin; no institution takes a person's name."""
    taken = {LEAD, ADMIN, OFFICER, OPERATOR}
    return f"{slug}-site" if slug in taken else slug


def create_people(folder: Path) -> LogIns:
    """Create the federation's own people once; later calls return the same log-ins."""
    password = own_secret(folder / "demonstration_password")[:16]
    for username, (name, role) in _NAMES.items():
        if not Person.objects.filter(username=username).exists():
            person = people.create_person(username=username, password=password, name=name)
            people.grant(person, role)
    if not Person.objects.filter(username=ADMIN).exists():
        people.create_person(username=ADMIN, password=password, name="Ada Admin")
    return LogIns((LEAD, ADMIN, OFFICER, OPERATOR), password)


def create_site_admins(institutions: Iterable[Institution], password: str) -> None:
    """Give each institution a site admin of its own, and the one called `admin` as well."""
    everywhere = Person.objects.get(username=ADMIN)
    for institution in institutions:
        username = site_admin(institution.slug)
        if Person.objects.filter(username=username).exists():
            continue
        name = f"Site admin of {institution.name}"
        person = people.create_person(username=username, password=password, name=name)
        people.grant(person, Role.SITE_ADMIN, institution)
        people.grant(everywhere, Role.SITE_ADMIN, institution)
