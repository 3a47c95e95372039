"""A study starts when its whole cohort approved this very protocol, and once."""

import pytest

from studies.models import Institution, Study
from studies.selectors.readiness import active_participations, obstacles
from studies.services import institutions, participations, studies
from studies.services.errors import NotReady
from studies.states import IllegalMove, StudyStatus
from tests.studies.conftest import approve_all
from tests.studies.protocols import small_protocol


def test_it_waits_for_everybody_and_says_for_whom(submitted, part, cast):
    with pytest.raises(NotReady, match="Budapest has not decided yet; Cleveland has not decided"):
        studies.start(submitted, by=cast.ada)
    assert submitted.status == Study.objects.get().status == StudyStatus.SUBMITTED
    participations.decline(part("cleveland"), by=cast.carla)
    with pytest.raises(NotReady, match="Cleveland declined"):
        studies.start(submitted, by=cast.ada)


def test_it_starts_once(approved, cast):
    again = Study.objects.get()
    studies.start(approved, by=cast.ada)
    started = approved.started_at
    with pytest.raises(IllegalMove, match="cannot start while running"):
        studies.start(again, by=cast.ada)
    assert Study.objects.get().started_at == started
    assert approved.events.filter(kind="study_started").count() == 1


def test_every_site_must_be_enrolled(approved, hospitals, cast):
    institutions.revoke_key(hospitals.budapest, by=cast.bela)
    with pytest.raises(NotReady, match="Budapest has no enrolled site"):
        studies.start(approved, by=cast.ada)


def test_an_institution_that_withdrew_is_waited_for_until_a_revision(approved, cast):
    row = approved.participations.get(institution__slug="budapest")
    participations.withdraw(row, by=cast.bela, reason="our board said no")
    with pytest.raises(NotReady, match="Budapest withdrew"):
        studies.start(approved, by=cast.ada)
    assert [str(one) for one in obstacles(approved)] == ["Budapest withdrew"]


def test_a_running_study_asks_only_who_still_takes_part(running, cast):
    assert len(active_participations(running)) == 2
    row = running.participations.get(institution__slug="budapest")
    participations.withdraw(row, by=cast.bela)
    assert [p.institution.slug for p in active_participations(running)] == ["cleveland"]


def test_it_resumes_only_with_its_quorum(running, cast):
    row = running.participations.get(institution__slug="budapest")
    participations.withdraw(row, by=cast.bela)
    studies.hold(running, reason="the quorum of 2 is out of reach")
    with pytest.raises(NotReady, match="needs 2 institutions a round and has 1"):
        studies.resume(running, by=cast.ada)
    assert running.status == Study.objects.get().status == StudyStatus.PAUSED
    assert running.status_reason == "the quorum of 2 is out of reach"


def test_it_resumes_with_a_lower_quorum_that_was_approved(draft, cast):
    studies.revise(draft, small_protocol(rounds={"quorum": 1}), by=cast.ada)
    studies.submit(draft, by=cast.ada)
    approve_all(draft, cast)
    studies.start(draft, by=cast.ada)
    participations.withdraw(draft.participations.get(institution__slug="budapest"), by=cast.bela)
    studies.pause(draft, by=cast.ada, reason="lunch")
    studies.resume(draft, by=cast.ada)
    assert (draft.status, draft.status_reason) == (StudyStatus.RUNNING, "")


def test_reasons_stand_in_the_row_and_in_the_event(running):
    studies.exhaust(running, reason="round 3 would exceed the budget of Budapest")
    row = Study.objects.get()
    assert row.status_reason == "round 3 would exceed the budget of Budapest"
    assert row.events.latest("id").payload == {"reason": row.status_reason}


def test_a_stale_object_does_not_overwrite_newer_rows(running, cast):
    stale = Study.objects.get()
    studies.pause(running, by=cast.ada)
    studies.resume(stale, by=cast.ada)
    assert stale.status == Study.objects.get().status == StudyStatus.RUNNING


def test_submission_needs_no_enrolled_site(draft, cast):
    Institution.objects.update(site_key="")
    assert studies.submit(draft, by=cast.ada).status == StudyStatus.SUBMITTED


def test_a_status_alone_is_no_approval(approved, cast):
    """Were the status ever wrong, the digest of the newest decision still decides."""
    studies.revise(approved, small_protocol(rounds={"count": 3}), by=cast.ada)
    approved.participations.update(status="approved")
    assert active_participations(approved) == []
    with pytest.raises(NotReady, match="approved another version of the protocol"):
        studies.start(approved, by=cast.ada)


def test_it_started_when_it_first_started(running, cast):
    first = running.started_at
    studies.pause(running, by=cast.ada)
    studies.resume(running, by=cast.ada)
    assert Study.objects.get().started_at == first


def test_what_has_run_is_not_rewritten(running, cast):
    """The plan is sealed in the ledger before round 1: another protocol is another study."""
    studies.pause(running, by=cast.ada)
    with pytest.raises(IllegalMove, match="cannot revise while paused"):
        studies.revise(running, small_protocol(rounds={"count": 3}), by=cast.ada)
