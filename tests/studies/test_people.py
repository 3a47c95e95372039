"""People get roles, one event each, and lose them at once."""

import pytest
from django.core.exceptions import ValidationError

from studies import access
from studies.models import Event, Membership, Person, Role
from studies.services import people
from studies.services.errors import RoleRefused

PASSWORD = "a long enough sentence"


def test_a_person_logs_in_and_may_nothing(db):
    made = people.create_person(username="dora", password=PASSWORD, name="Dora van der Berg")
    assert (made.first_name, made.last_name) == ("Dora", "van der Berg")
    assert made.check_password(PASSWORD)
    assert access.roles_of(made) == ()


@pytest.mark.parametrize("password", ["short", "elevenchars", "q1w2e3r4t5y6"])
def test_a_short_or_common_password_is_refused(password, db):
    with pytest.raises(ValidationError):
        people.create_person(username="dora", password=password)
    assert not Person.objects.exists()


def test_granting_twice_changes_nothing(cast, hospitals):
    before = Event.objects.count()
    people.grant(cast.nobody, Role.SITE_ADMIN, hospitals.zurich, by=cast.petra)
    people.grant(cast.nobody, Role.SITE_ADMIN, hospitals.zurich, by=cast.petra)
    assert Membership.objects.filter(person=cast.nobody).count() == 1
    assert Event.objects.count() == before + 1
    assert Event.objects.latest("id").payload == {"person": "nobody", "role": "site admin"}


@pytest.mark.parametrize(
    ("role", "somewhere"),
    [(Role.SITE_ADMIN, False), (Role.OPERATOR, True)],
)
def test_some_roles_need_a_place_and_some_have_none(role, somewhere, cast, hospitals):
    with pytest.raises(RoleRefused):
        people.grant(cast.nobody, role, hospitals.zurich if somewhere else None)


def test_a_role_that_does_not_exist_is_refused(cast):
    with pytest.raises(ValueError, match="superman"):
        people.grant(cast.nobody, "superman")


def test_revoking_takes_exactly_that_role(cast, hospitals):
    people.grant(cast.carla, Role.COMPLIANCE_OFFICER, hospitals.cleveland)
    people.revoke(cast.carla, Role.SITE_ADMIN, hospitals.cleveland, by=cast.petra)
    assert access.roles_of(cast.carla) == (Role.COMPLIANCE_OFFICER,)
    with pytest.raises(RoleRefused, match="nothing to take"):
        people.revoke(cast.carla, Role.SITE_ADMIN, hospitals.cleveland, by=cast.petra)
    kinds = Event.objects.filter(payload__person="carla").values_list("kind", flat=True)
    assert list(kinds)[-1] == "role_revoked"


def test_a_deactivated_person_may_nothing(cast, submitted):
    assert access.may_see_study(cast.olga, submitted)
    people.deactivate(cast.olga, by=cast.petra)
    assert access.roles_of(cast.olga) == ()
    assert not access.may_see_study(cast.olga, submitted)
