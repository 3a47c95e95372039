"""Institutions are registered in the browser, and a token is shown exactly once."""

import re

import pytest
from django.urls import reverse

from studies.models import EnrolmentToken, Institution
from studies.services import institutions

TOKEN = re.compile(r"--token (\S+)</pre>")


def test_registering_leads_to_the_institution(cast, browse):
    answer = browse(cast.ada).post("/new-institution/", {"name": "Long Beach", "slug": ""})
    assert answer.url == reverse("institution", args=("long-beach",))


@pytest.mark.parametrize(
    ("name", "slug", "says"),
    [
        ("Cleveland", "", "exists already"),
        ("???", "", "no usable slug"),
        ("", "", "This field is required"),
        ("New", "UPPER case", "valid “slug”"),
    ],
)
def test_a_name_that_cannot_be_is_explained(cast, browse, name, slug, says):
    answer = browse(cast.ada).post("/new-institution/", {"name": name, "slug": slug})
    assert answer.status_code == 200
    assert says in answer.content.decode()
    assert Institution.objects.count() == 3


@pytest.fixture
def issued(cast, browse):
    carla = browse(cast.carla)
    answer = carla.post(reverse("institution-token", args=("cleveland",)))
    return carla, answer


def test_the_page_has_the_commands_to_paste(issued, settings):
    html = issued[1].content.decode()
    token = TOKEN.search(html)[1]
    enrol = f"python -m federation.site enrol --hub {settings.PUBLIC_URL} --token {token}"
    for command in (enrol, "python -m federation.site check", "python -m federation.site run"):
        assert command in html


def test_the_token_enrols(issued):
    token = TOKEN.search(issued[1].content.decode())[1]
    assert institutions.enrol(token, "44" * 32).slug == "cleveland"


def test_the_token_is_shown_this_once_and_never_stored(issued):
    carla, answer = issued
    token = TOKEN.search(answer.content.decode())[1]
    assert "no-store" in answer["Cache-Control"]
    assert token not in carla.get(reverse("institution", args=("cleveland",))).content.decode()
    assert token not in str(EnrolmentToken.objects.values())
    assert token not in str(dict(carla.session))


def test_looking_at_the_address_issues_nothing(cast, browse):
    answer = browse(cast.carla).get(reverse("institution-token", args=("cleveland",)))
    assert answer.status_code == 405
    assert not EnrolmentToken.objects.exists()


def test_a_key_is_revoked_only_after_the_question(cast, browse, hospitals):
    carla, address = browse(cast.carla), reverse("institution-revoke", args=("cleveland",))
    assert "Revoke the key of this site?" in carla.get(address).content.decode()
    hospitals.cleveland.refresh_from_db()
    assert hospitals.cleveland.site_key
    carla.post(address)
    hospitals.cleveland.refresh_from_db()
    assert not hospitals.cleveland.site_key


def test_what_a_house_lends_is_for_its_own_people(cast, browse):
    address = reverse("institution", args=("cleveland",))
    assert "heart-1988" in browse(cast.carla).get(address).content.decode()
    assert "heart-1988" not in browse(cast.ada).get(address).content.decode()
    assert "heart-1988" not in browse(cast.petra).get(address).content.decode()
