"""Institutions: a name that works, a heartbeat that is cheap, an offer that is well formed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from studies.models import Event, Institution
from studies.selectors.sites import site
from studies.services import institutions
from studies.services.errors import InvalidName, OfferRefused

NOW = timezone.now()


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Universitätsspital Zürich", "universitatsspital-zurich"),
        ("V.A. Medical Center, Long Beach", "va-medical-center-long-beach"),
        ("a_b", "a-b"),
        ("x" * 80, "x" * 63),
    ],
)
def test_the_slug_comes_from_the_name(name, slug, cast):
    assert institutions.register(name=name, by=cast.ada).slug == slug
    event = Event.objects.latest("id")
    assert (event.kind, event.by, event.institution.slug) == (
        "institution_registered",
        cast.ada,
        slug,
    )


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("", None),
        ("   ", None),
        ("心臓", None),
        ("A", "Upper"),
        ("A", "a b"),
        ("A", "-a"),
        ("A", "a_b"),
    ],
)
def test_a_name_without_a_usable_slug_is_refused(name, slug, cast):
    with pytest.raises(InvalidName, match="choose one of lower-case"):
        institutions.register(name=name, slug=slug, by=cast.ada)


def test_a_slug_is_taken_once(cast):
    with pytest.raises(InvalidName, match="exists already"):
        institutions.register(name="Cleveland", by=cast.ada)
    assert Institution.objects.filter(slug="cleveland").count() == 1


def test_seen_is_written_every_ten_seconds_at_most(hospitals):
    house = hospitals.cleveland
    for seconds, written in ((0, 0), (5, 0), (10, 0), (11, 11), (15, 11), (22, 22)):
        institutions.seen(house, now=NOW + timedelta(seconds=seconds))
        house.refresh_from_db()
        assert house.last_seen == NOW + timedelta(seconds=written)


def test_a_site_is_online_for_a_minute_after_it_called(hospitals):
    house = hospitals.cleveland
    assert site(house).state == "offline"
    institutions.seen(house, now=NOW)
    assert site(house, NOW + timedelta(seconds=59)).state == "online"
    assert site(house, NOW + timedelta(seconds=60)).state == "offline"
    house.site_key = ""
    assert site(house, NOW).state == "not enrolled"


def test_news_of_a_site_go_out_only_when_it_comes_back(hospitals, committed, heard):
    house = hospitals.cleveland
    for seconds, expected in ((0, ["site_seen"]), (30, []), (60, []), (150, ["site_seen"])):
        with committed():
            institutions.seen(house, now=NOW + timedelta(seconds=seconds))
        assert heard("people") == expected
    assert not Event.objects.filter(kind="site_seen").exists()


def test_an_offer_is_kept_and_recorded_when_it_changed(hospitals):
    house = hospitals.cleveland
    for lent, events in ((["heart"], 1), (["heart"], 1), (["heart", "lungs"], 2), ([], 3)):
        offer = {"datasets": [{"name": name} for name in lent], "offered_at": str(timezone.now())}
        institutions.receive_offer(house, offer)
        assert Institution.objects.get(slug="cleveland").offer == offer
        assert Event.objects.filter(kind="offer_received").count() == events
    assert Event.objects.latest("id").payload == {"datasets": []}


@pytest.mark.parametrize(
    "datasets",
    [None, {}, [1], [{}], [{"name": ""}], [{"name": 3}], [{"name": "a"}, {"name": "a"}],
     [{"name": str(n)} for n in range(101)]],
)  # fmt: skip
def test_an_offer_that_is_none_changes_nothing(datasets, hospitals):
    before = hospitals.cleveland.offer
    with pytest.raises(OfferRefused):
        institutions.receive_offer(hospitals.cleveland, {"datasets": datasets})
    assert Institution.objects.get(slug="cleveland").offer == before
