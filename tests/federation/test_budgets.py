"""A round that would break a budget is not opened: nothing is reserved, and the page says why."""

import pytest

from accounting.models import DatasetBudget, Entry
from accounting.services import budgets
from federation.models import Assignment, Round
from studies.services import studies
from tests.federation.conftest import advance


@pytest.fixture
def first_done(study, sites):
    """Round 1 closed; round 2 open."""
    for site in sites.values():
        site.work()
    return advance(study)


def lower(slug: str, lead, epsilon: str, sites) -> None:
    budgets.lower(sites[slug].institution, "heart-1988", epsilon, by=lead, reason="test")


def test_a_dataset_without_room_exhausts_the_study(start, sites, lead):
    study = start()
    lower("zurich", lead, "0.01", sites)
    advance(study)
    assert study.status == "exhausted"
    assert "Round 1 was not opened" in study.status_reason
    assert "lifetime budget of dataset heart-1988 at zurich" in study.status_reason
    assert "ε" not in study.status_reason  # what Zurich spent elsewhere is not Budapest's to read
    assert not Entry.objects.filter(kind="reserved").exists()
    assert not Round.objects.exists()
    assert not Assignment.objects.exists()


def test_one_institution_without_room_charges_nobody(first_done, sites, lead):
    for site in sites.values():
        site.work()
    lower("budapest", lead, "0.02", sites)
    before = Entry.objects.filter(kind="reserved").count()
    advance(first_done)
    # Round 2's model is made; its evaluation did not fit, for anybody.
    assert Entry.objects.filter(kind="reserved").count() == before
    assert Round.objects.get(number=2).status == "closed"
    assert "without phase evaluate" in Round.objects.get(number=2).reason
    assert first_done.status == "exhausted"
    assert first_done.checkpoints.count() == 3


def test_the_studys_own_budget_ends_it_too(start, sites, lead):
    privacy = {"noise_multiplier": 4.0, "target_delta": 1e-3}
    study = advance(start(rounds={"count": 2}, evaluation={"every": 0}, privacy=privacy))
    sites["zurich"].take()
    advance(study, later=61)
    for attempt in (2, 3):
        studies.resume(study, by=lead)
        advance(study)
        assert Round.objects.latest("id").attempt == attempt or study.status == "exhausted"
        if study.status == "exhausted":
            break
        sites["zurich"].take()
        advance(study, later=61)
    assert study.status == "exhausted"
    for word in ("the study heart at zurich", "ε = ", "(rdp, δ = 0.001)"):
        assert word in study.status_reason


def test_a_dataset_without_any_budget_holds_the_study(start, sites):
    study = start()
    DatasetBudget.objects.filter(institution="zurich").delete()
    advance(study)
    assert study.status == "paused"
    assert "zurich lends no dataset" in study.status_reason
