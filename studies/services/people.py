"""The one writer of people and of their roles."""

from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from studies.models import Institution, Membership, Person, Role
from studies.services import events
from studies.services.errors import RoleRefused


@transaction.atomic
def create_person(*, username: str, password: str, name: str = "") -> Person:
    """Create a person without any role; raises django's ValidationError for a weak password."""
    person = Person(username=username)
    person.first_name, _, person.last_name = name.strip().partition(" ")
    validate_password(password, person)
    person.set_password(password)
    person.full_clean()
    person.save()
    return person


@transaction.atomic
def grant(
    person: Person, role: Role, institution: Institution | None = None, *, by: Person | None = None
) -> Membership:
    """Give a role (at an institution; None: in the whole federation); twice changes nothing.

    Raises RoleRefused: a site admin always belongs to one institution, an operator to none.
    """
    role = Role(role)
    if role is Role.SITE_ADMIN and institution is None:
        raise RoleRefused("a site admin needs an institution; name the one it administers")
    if role is Role.OPERATOR and institution is not None:
        raise RoleRefused("an operator runs the whole installation; leave the institution out")
    Person.objects.select_for_update().get(pk=person.pk)
    membership, created = Membership.objects.get_or_create(
        person=person, role=role, institution=institution
    )
    if created:
        _record("role_granted", membership, by)
    return membership


@transaction.atomic
def revoke(
    person: Person, role: Role, institution: Institution | None = None, *, by: Person | None = None
) -> None:
    """Take a role away: the next request fails and open sockets close. Raises RoleRefused."""
    rows = Membership.objects.select_for_update()
    membership = rows.filter(person=person, role=Role(role), institution=institution).first()
    if membership is None:
        where = institution or "the federation"
        raise RoleRefused(f"{person} is no {Role(role).label.lower()} at {where}; nothing to take")
    _record("role_revoked", membership, by)
    membership.delete()


def deactivate(person: Person, *, by: Person | None) -> None:
    """Shut a person out: sessions and sockets end, what they did stays. Twice changes nothing."""
    _switch(person, False, "person_deactivated", by)


def activate(person: Person, *, by: Person | None) -> None:
    """Let a person in again, with the roles as they were. Twice changes nothing."""
    _switch(person, True, "person_activated", by)


@transaction.atomic
def _switch(person: Person, active: bool, kind: str, by: Person | None) -> None:
    person.refresh_from_db(from_queryset=Person.objects.select_for_update())
    if person.is_active is active:
        return
    person.is_active = active
    person.save(update_fields=["is_active"])
    events.record(kind, by=by, person=person.username)
    events.recheck(person)


def _record(kind: str, membership: Membership, by: Person | None) -> None:
    events.record(
        kind,
        institution=membership.institution,
        by=by,
        person=membership.person.username,
        role=Role(membership.role).label.lower(),
    )
    events.recheck(membership.person)
