"""The home page answers each role's first question."""

import pytest

from studies.services import events, studies


@pytest.fixture
def home(browse):
    return lambda who: browse(who).get("/").content.decode()


def test_a_lead_reads_who_holds_a_study_up(home, cast, submitted):
    html = home(cast.ada)
    assert "Budapest (has not decided yet)" in html
    assert "Cleveland (has not decided yet)" in html


def test_a_lead_reads_that_it_is_the_leads_turn(home, cast, approved):
    assert "yours to start" in home(cast.ada)


def test_a_site_admin_reads_what_is_asked(home, cast, submitted):
    html = home(cast.carla)
    assert "Read and decide" in html
    assert "Ada asks you to lend a dataset" in html


def test_a_site_admin_of_another_house_is_asked_nothing(home, cast, submitted):
    html = home(cast.zoe)
    assert "Nothing is asked of you" in html
    assert "Heart disease" not in html


def test_an_officer_reads_what_needs_explaining(home, cast, running, hospitals):
    assert "Nothing to explain" in home(cast.olga)
    events.record(
        "assignment_refused",
        study=running,
        institution=hospitals.cleveland,
        round=1,
        reason="limit_epsilon",
    )
    assert "refused round 1" in home(cast.olga)
    assert "refused round 1" not in home(cast.olaf)


def test_an_officer_reads_of_an_exhausted_study(home, cast, running):
    studies.exhaust(running, reason="round 2 needs ε = 1.2 of 1 (PLD)")
    assert "round 2 needs ε = 1.2 of 1 (PLD)" in home(cast.olga)


def test_an_operator_reads_of_sites_and_of_no_study(home, cast, running):
    html = home(cast.petra)
    assert "Is everything up?" in html
    assert "Cleveland" in html
    assert "Heart disease" not in html


def test_who_has_no_role_is_told_whom_to_ask(home, cast):
    assert "You have no role yet" in home(cast.nobody)


def test_several_roles_are_several_sections(home, cast, hospitals, submitted):
    cast.carla.memberships.create(role="operator")
    html = home(cast.carla)
    assert "Is everything up?" in html
    assert "Read and decide" in html


@pytest.mark.parametrize(
    ("who", "places"),
    [
        ("ada", ["Home", "Studies", "Institutions", "Ledger", "Reports"]),
        ("carla", ["Home", "Studies", "Institutions", "Ledger", "Reports", "Violations"]),
        ("olga", ["Home", "Studies", "Institutions", "Ledger", "Reports", "Violations"]),
        ("petra", ["Home", "Institutions"]),
        ("nobody", ["Home"]),
    ],
)
def test_where_one_can_go(browse, cast, who, places):
    shown = browse(getattr(cast, who)).get("/").context["places"]
    assert [place.name for place in shown] == places
    assert [place.name for place in shown if place.here] == ["Home"]
