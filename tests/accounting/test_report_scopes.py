"""What a report may be about: each scope says its own loss, composed, and nothing of others."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.claims import Filter, claim
from accounting.dp.events import PrivacyEvent
from accounting.dp.filters import best_order
from accounting.reports.build import preview
from accounting.reports.scopes import Kind, Scope, ScopeError
from accounting.services import ledger, rows
from studies.models import Study
from tests.accounting import builders as b
from tests.accounting import world as w

SLUGS = st.text("abc-", min_size=1, max_size=8)
DAYS = st.dates(date(2020, 1, 1), date(2030, 1, 1))


@st.composite
def scopes(draw):
    study = draw(st.one_of(st.just(""), SLUGS))
    institution = draw(st.one_of(st.just(""), SLUGS))
    lineage = draw(SLUGS) if institution and not study and draw(st.booleans()) else ""
    days = sorted(draw(st.lists(DAYS, min_size=2, max_size=2)))
    since, until = (day if draw(st.booleans()) else None for day in days)
    return Scope(study, institution, lineage, since, until, draw(st.sampled_from(["", "patient"])))


@given(scopes())
def test_a_scope_is_its_text(scope):
    assert Scope.parse(scope.text) == scope
    assert Scope.read(scope.parameters) == scope


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, Kind.EVERYTHING),
        ({"study": "heart"}, Kind.STUDY),
        ({"study": "heart", "institution": "zurich"}, Kind.PART),
        ({"institution": "zurich"}, Kind.INSTITUTION),
        ({"institution": "zurich", "lineage": "heart"}, Kind.DATASET),
        ({"institution": "zurich", "unit": "patient", "from": "2026-01-01"}, Kind.INSTITUTION),
    ],
)
def test_the_kinds_are_closed(given, kind):
    assert Scope.read(given).kind is kind


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"lineage": "heart"}, "institution"),
        ({"study": "a", "institution": "b", "lineage": "c"}, "across"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "swap"),
        ({"from": "yesterday"}, "2026-11-21"),
        ({"unit": "household"}, "row or patient"),
    ],
)
def test_what_means_nothing_is_refused_with_advice(given, why):
    with pytest.raises(ScopeError, match=why):
        Scope.read(given)


@pytest.fixture
def world(world):
    """Two studies charge one dataset of Cleveland; Zurich is in the first alone."""
    document = w.protocol("Lungs")
    Study.objects.create(
        slug="lungs",
        name="Lungs",
        lead=world.lead,
        status="running",
        document=document.canonical().decode(),
        protocol_digest=document.digest,
    )
    b.whole_round(b.key("cleveland", study="lungs"))
    return world


def events_of(document: dict, key: str) -> list[PrivacyEvent]:
    return [PrivacyEvent.from_json(event) for event in document["events"][key]]


def test_a_dataset_is_composed_across_its_studies(world):
    document = preview(Scope(institution="cleveland", lineage="heart")).document
    (part,) = document["parameters"]["institutions"]
    history = events_of(document, "cleveland/heart")
    assert len(history) == 4
    kept = Filter(3.0, 1e-3, best_order(3.0, 1e-3))
    assert part["spent"]["epsilon"] == repr(claim(history, 1e-3, kept).spent.epsilon)
    assert [row["study"] for row in part["by_study"]] == ["heart", "lungs"]
    assert float(part["spent"]["shown"]) < sum(float(row["shown"]) for row in part["by_study"])
    assert part["budget"] == "3"
    assert "in any study" in document["statement"][0]["sentence"]


def test_what_was_chosen_on_the_way_is_claimed_by_the_filter_alone(world):
    """Two studies on one dataset: the second was chosen after the first had released."""
    both = preview(Scope(institution="cleveland")).document
    (part,) = both["parameters"]["institutions"]
    assert part["claimed"]["accountant"] == "rdp"
    assert "sealed in advance" in part["claimed"]["discretisation"]
    assert part["claimed"]["shown"] == part["budget"] + ".000"
    assert float(part["claimed"]["epsilon"]) > float(part["spent"]["epsilon"])
    assert "an odometer: it may be shown, not claimed" in part["odometer"]
    assert f"ε = {part['claimed']['shown']}" in both["statement"][0]["sentence"]
    assert part["claimed"]["shown"] in part["reading"]
    assert "odometer" in both["accounting"]["parameters"]
    alone = preview(Scope(institution="zurich")).document["parameters"]["institutions"]
    assert alone[0]["odometer"] == ""
    assert alone[0]["claimed"] == alone[0]["spent"]


def test_a_study_outside_its_plan_is_an_odometer(world):
    sealed, adaptive = preview(Scope("heart")).document, preview(Scope("lungs")).document
    assert sealed["accounting"]["parameters"] == "sealed before round 1"
    assert "RDP accountant" in adaptive["statement"][0]["sentence"]


def test_an_institution_tells_nothing_of_another(world):
    text = preview(Scope(institution="cleveland")).text
    assert "zurich" not in text.lower()
    assert "lungs" in text.lower()


def test_everything_has_a_part_for_each_dataset(world):
    document = preview(Scope()).document
    assert list(document["events"]) == ["cleveland/heart", "zurich/heart"]
    assert document["report"]["study"] is None
    assert document["utility"] == {"status": "told in the report of each study"}


def test_the_history_of_a_budget_is_in_the_houses_report_and_not_in_the_studys(world):
    budgets = preview(Scope(institution="cleveland")).document["parameters"]["budget_history"]
    assert [row["what"] for row in budgets] == ["declared"]
    study = preview(Scope("heart")).document["parameters"]
    assert study["budget_history"] == []
    assert isinstance(study["lifetime"], str)


def test_only_the_rows_of_the_asked_unit_count(world):
    assert len(preview(Scope(unit="patient")).document["mechanisms"]) == 7
    rows_only = preview(Scope(unit="row")).document
    assert rows_only["mechanisms"] == []
    assert rows_only["parameters"]["institutions"] == []


@pytest.fixture
def two_days(monkeypatch, db):
    """Two rounds on the first of March, one on the second."""
    world = w.build()
    first = rows.datetime.fromisoformat("2026-03-01T23:59:00+00:00")
    for number in (1, 2, 3):
        key = b.key("cleveland", number)
        at = first + timedelta(days=number > 2)
        request = b.reservation(key, limit=w.BUDGET, protocol=world.study.protocol_digest)
        ledger.reserve_all([request], now=at)
        ledger.charge(key, now=at)
    return world


def test_a_period_has_what_came_before_what_it_spent_and_both(two_days):
    scope = Scope(institution="cleveland", since=date(2026, 3, 2), until=date(2026, 3, 2))
    (part,) = preview(scope).document["parameters"]["institutions"]
    one, two, three = (epsilon([b.TRAIN] * n, 1e-3) for n in (1, 2, 3))
    assert part["before"]["shown"] == two.shown()
    assert part["spent"]["shown"] == one.shown()
    assert part["in_all"]["shown"] == three.shown()
    assert float(part["remaining"]) <= 3.0 - three.epsilon < float(part["remaining"]) + 0.001


def test_what_comes_after_a_period_is_not_there(two_days):
    scope = Scope(institution="cleveland", until=date(2026, 3, 1))
    document = preview(scope).document
    assert len(document["mechanisms"]) == 2
    assert document["parameters"]["institutions"][0]["before"]["epsilon"] == "0.0"
    assert document["report"]["period"]["to"].startswith("2026-03-01")


def test_no_period_has_no_before(two_days):
    (part,) = preview(Scope("heart", "cleveland")).document["parameters"]["institutions"]
    assert part["before"] is None
    assert part["in_all"]["epsilon"] == part["spent"]["epsilon"]
