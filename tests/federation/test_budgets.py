"""A round that would break a budget is not opened: nothing is reserved, and the page says why."""

import pytest

from accounting.models import DatasetBudget, Entry
from accounting.services import budgets
from accounting.services.verification import verify
from federation.models import Assignment, Round
from federation.protocol.document import Protocol
from studies.models import Study
from studies.services import participations, studies
from studies.services.errors import NotReady
from tests.federation.conftest import advance, approve, varied


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
    for word in ("the study heart at zurich", "ε = ", "(rdp, δ = 0.001, per row)"):
        assert word in study.status_reason


def test_a_dataset_without_any_budget_holds_the_study(start, sites):
    study = start()
    DatasetBudget.objects.filter(institution="zurich").delete()
    advance(study)
    assert study.status == "paused"
    assert "zurich lends no dataset" in study.status_reason


def test_a_study_that_does_not_fit_cannot_start_and_its_lead_reads_no_figure(start, sites, lead):
    lower("zurich", lead, "0.5", sites)
    with pytest.raises(NotReady) as refusal:
        start()
    study = Study.objects.get()
    assert study.status == "submitted"
    assert "lifetime budget of dataset heart-1988 at zurich" in str(refusal.value)
    assert "plan for a smaller ε" in str(refusal.value)
    assert "ε = " not in str(refusal.value)
    assert not Entry.objects.exclude(kind="declared").exists()  # nor anywhere else


def test_two_approved_studies_cannot_starve_each_other(start, sites, lead):
    for site in sites:
        lower(site, lead, "1.5", sites)
    first = start(evaluation={"every": 0})
    with pytest.raises(NotReady, match="beside what is spent and committed there"):
        start(evaluation={"every": 0}, name="Second")
    advance(first)
    for _ in range(2):
        for site in sites.values():
            site.work()
        advance(first)
    assert first.status == "completed"


def test_what_a_study_did_not_use_is_there_for_the_next_at_once(start, sites, lead):
    for site in sites:
        lower(site, lead, "1.7", sites)
    ten = {"rounds": {"count": 10}, "evaluation": {"every": 0}}
    privacy = {"noise_multiplier": 8.0, "target_delta": 1e-3}
    first = advance(start(**ten, privacy=privacy))
    for _ in range(2):
        for site in sites.values():
            site.work()
        advance(first)
    second = studies.create(
        protocol=Protocol.model_validate(varied({**ten, "privacy": privacy, "name": "B"})), by=lead
    )
    studies.submit(second, by=lead)
    approve(second, lead)
    with pytest.raises(NotReady):
        studies.start(second, by=lead)
    studies.withdraw(first, by=lead, reason="enough")
    assert Entry.objects.filter(kind="returned", study=first.slug).count() == 3
    studies.start(second, by=lead)
    advance(first)
    assert advance(second).status == "running"
    verdict = verify()
    assert verdict.ok, verdict.sentence()


def test_an_institution_that_leaves_takes_its_budget_with_it(study, sites, lead):
    part = study.participations.get(institution__slug="zurich")
    participations.withdraw(part, by=lead, reason="no")
    row = Entry.objects.get(kind="returned")
    assert (row.institution, row.lineage) == ("zurich", "heart-1988")
    studies.withdraw(study, by=lead, reason="no")
    assert Entry.objects.filter(kind="returned").count() == 3
    assert verify().ok
