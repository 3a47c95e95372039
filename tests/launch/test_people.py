"""The people of a demonstration: one per role, and a site admin for each institution."""

import pytest

from config.launch.people import create_people, create_site_admins, site_admin
from studies.models import Institution, Membership, Person

pytestmark = pytest.mark.django_db


def test_one_person_per_role_and_the_same_on_the_next_start(tmp_path):
    first = create_people(tmp_path)
    assert create_people(tmp_path) == first
    assert set(Person.objects.values_list("username", flat=True)) == set(first.names)
    assert all(Person.objects.get(username=n).check_password(first.password) for n in first.names)


def test_an_institution_with_a_persons_name_gets_an_admin_of_its_own(tmp_path):
    password = create_people(tmp_path).password
    houses = [Institution.objects.create(slug=slug, name=slug) for slug in ("lead", "north")]
    create_site_admins(houses, password)
    create_site_admins(houses, password)
    assert [site_admin(house.slug) for house in houses] == ["lead-site", "north"]
    for house in houses:
        admins = Membership.objects.filter(institution=house, role="site_admin")
        assert {row.person.username for row in admins} == {site_admin(house.slug), "admin"}
