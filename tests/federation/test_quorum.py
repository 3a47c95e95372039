"""When sites stay away: a round never succeeds silently on a subset, and a person decides."""

import numpy as np
import pytest

from accounting.models import Entry
from federation.models import Round
from federation.protocol.messages import Reason
from federation.protocol.tensors import unpack
from federation.selectors import live, models
from federation.services import blobs, rounds
from studies.services import participations, studies
from studies.states import IllegalMove
from tests.federation.conftest import advance, kinds


@pytest.fixture
def held(study, sites):
    """Two answered, one took its assignment and vanished."""
    sites["budapest"].work()
    sites["cleveland"].work()
    sites["zurich"].take()
    return advance(study, later=61)


def test_nothing_happens_before_the_deadline(study, sites):
    sites["budapest"].work()
    before = study.events.count()
    advance(study, later=59)
    assert study.events.count() == before
    assert Round.objects.get().status == "open"


def test_below_the_quorum_the_study_waits_for_a_person(held):
    assert held.status == "paused"
    assert "2 of the 3 contributions" in held.status_reason
    assert "Zurich took it and did not answer in time (charged)" in held.status_reason
    assert "Resume" in held.status_reason
    assert Round.objects.get().status == "failed"
    assert kinds(held, "zurich") == ["reserved", "charged", "lost"]
    assert list(held.checkpoints.values_list("number", flat=True)) == [0]


def test_a_site_that_never_took_its_assignment_is_released(study, sites):
    sites["budapest"].work()
    advance(study, later=61)
    assert kinds(study, "zurich") == ["reserved", "aborted"]
    assert "Zurich never took it (not charged)" in study.status_reason
    states = {cell.institution: cell.state for cell in live.current(study).sites}
    assert states == {"budapest": "answered", "cleveland": "unused", "zurich": "unused"}


def test_resuming_opens_a_new_attempt_which_is_charged_again(held, lead, sites):
    studies.resume(held, by=lead)
    advance(held)
    for site in sites.values():
        site.work()
    advance(held)
    closed = Round.objects.filter(number=1, status="closed").get()
    assert closed.attempt == 2
    assert kinds(held, "budapest", 1, 1) == ["reserved", "charged", "released"]
    assert kinds(held, "budapest", 1, 2)[-1] == "acknowledged"


def test_a_person_may_close_the_round_on_what_came(held, lead, sites):
    assert live.can_close_below_quorum(held) is not None
    rounds.close_with(held, by=lead, reason="Zurich moves house this week")
    advance(held)
    closed = Round.objects.get(number=1)
    assert (closed.status, closed.quorum, closed.attempt) == ("closed", 2, 1)
    assert models.checkpoints(held)[1].contributors == ("budapest", "cleveland")
    decision = held.events.get(kind="quorum_overridden")
    assert decision.by == lead
    assert decision.payload["reason"] == "Zurich moves house this week"
    assert kinds(held, "budapest")[-1] == "acknowledged"
    assert kinds(held, "zurich")[-1] == "lost"
    assert held.status == "running"
    assert Round.objects.get(number=2).quorum == 3
    made = unpack(blobs.read(models.checkpoints(held)[1].digest))
    np.testing.assert_allclose(next(iter(made.values())), 0.25)


def test_an_override_needs_a_reason_and_two_contributions(study, sites, lead):
    sites["budapest"].work()
    advance(study, later=61)
    with pytest.raises(rounds.CannotClose, match="reason"):
        rounds.close_with(study, by=lead, reason="  ")
    with pytest.raises(rounds.CannotClose, match="at least 2"):
        rounds.close_with(study, by=lead, reason="hurry")
    assert live.can_close_below_quorum(study) is None
    assert "or close the round" not in study.status_reason


def test_only_a_failed_round_can_be_closed_so(study, lead):
    with pytest.raises(rounds.CannotClose, match="on hold"):
        rounds.close_with(study, by=lead, reason="hurry")


def test_a_declared_quorum_is_enough_at_the_deadline_and_says_who(start, sites):
    study = advance(start(rounds={"count": 1, "quorum": 2}, evaluation={"every": 0}))
    sites["budapest"].work()
    sites["zurich"].work()
    advance(study)
    assert Round.objects.get().status == "open"
    advance(study, later=61)
    assert study.status == "completed"
    assert models.latest(study).contributors == ("budapest", "zurich")


def test_refusals_count_as_missing_and_are_named(study, sites):
    for site in sites.values():
        site.refuse(site.take(), Reason.LIMIT_NOISE, accessed=False)
    advance(study)
    assert study.status == "paused"
    assert "Budapest refused, Cleveland refused" in study.status_reason
    assert "limit_noise" not in study.status_reason  # every participant reads the reason
    assert {kinds(study, slug)[-1] for slug in sites} == {"aborted"}


def test_a_pause_lets_the_open_round_finish_and_opens_no_other(study, sites, lead):
    studies.pause(study, by=lead)
    for site in sites.values():
        site.work()
    advance(study)
    assert study.status == "paused"
    assert list(Round.objects.values_list("number", "status")) == [(1, "closed")]
    studies.resume(study, by=lead)
    advance(study)
    assert Round.objects.filter(number=2, status="open").exists()


def test_withdrawing_the_study_gives_back_what_nobody_touched(study, sites, lead):
    sites["budapest"].take()
    studies.withdraw(study, by=lead)
    assert sites["zurich"].take() is None
    advance(study)
    assert kinds(study, "budapest")[-1] == "lost"
    assert kinds(study, "zurich")[-1] == "aborted"
    assert Round.objects.get().status == "failed"
    with pytest.raises(IllegalMove):
        studies.resume(study, by=lead)


def test_an_institution_that_withdraws_is_asked_no_more(start, sites, lead):
    study = advance(start(rounds={"count": 1, "quorum": 2}, evaluation={"every": 0}))
    participations.withdraw(study.participations.get(institution__slug="zurich"), by=lead)
    assert sites["zurich"].take() is None  # at once, before the engine has looked
    advance(study)
    assert kinds(study, "zurich") == ["reserved", "aborted"]
    assert sites["zurich"].take() is None
    sites["budapest"].work()
    sites["cleveland"].work()
    advance(study)
    assert study.status == "completed"


def test_too_few_institutions_hold_the_study(start, sites, lead):
    study = start()
    participations.withdraw(study.participations.get(institution__slug="zurich"), by=lead)
    advance(study)
    assert study.status == "paused"
    assert "needs 3 institutions and 2 take part" in study.status_reason
    assert not Entry.objects.filter(kind="reserved").exists()


def test_lost_evaluations_cost_the_metrics_not_the_model(start, sites):
    study = advance(start(rounds={"count": 1}))
    for site in sites.values():
        site.work()
    advance(study)
    sites["zurich"].work()
    advance(study, later=61)
    assert study.status == "completed"
    assert models.latest(study).contributors == tuple(sorted(sites))
    assert models.latest(study).sites["contributors"] == ["zurich"]
    assert kinds(study, "budapest", phase="evaluate") == ["reserved", "aborted"]
