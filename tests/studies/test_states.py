"""Every action from every status: the table's moves succeed, all others change nothing."""

import pytest

from studies.models import Study
from studies.services import participations, studies
from studies.states import (
    PARTICIPATION_MOVES,
    STUDY_MOVES,
    TIMELY,
    IllegalMove,
    ParticipationStatus,
    StudyStatus,
    actions,
    destination,
)
from tests.studies.conftest import approve_all
from tests.studies.protocols import small_protocol

ACTS = {
    "submit": lambda study, ada: studies.submit(study, by=ada),
    "revise": lambda study, ada: studies.revise(
        study, small_protocol(purpose="to learn more"), by=ada
    ),
    "start": lambda study, ada: studies.start(study, by=ada),
    "pause": lambda study, ada: studies.pause(study, by=ada),
    "hold": lambda study, ada: studies.hold(study, reason="two sites are away"),
    "resume": lambda study, ada: studies.resume(study, by=ada),
    "withdraw": lambda study, ada: studies.withdraw(study, by=ada),
    "complete": lambda study, ada: studies.complete(study),
    "exhaust": lambda study, ada: studies.exhaust(study, reason="nothing is left"),
    "fail": lambda study, ada: studies.fail(study, reason="no way on"),
}
PATHS = {  # how a study gets into each status
    StudyStatus.DRAFT: (),
    StudyStatus.SUBMITTED: ("submit", "approvals"),
    StudyStatus.RUNNING: ("submit", "approvals", "start"),
    StudyStatus.PAUSED: ("submit", "approvals", "start", "pause"),
    StudyStatus.COMPLETED: ("submit", "approvals", "start", "complete"),
    StudyStatus.WITHDRAWN: ("withdraw",),
    StudyStatus.EXHAUSTED: ("submit", "approvals", "start", "exhaust"),
    StudyStatus.FAILED: ("submit", "approvals", "start", "fail"),
}


def brought_to(status: StudyStatus, study: Study, cast) -> Study:
    for step in PATHS[status]:
        approve_all(study, cast) if step == "approvals" else ACTS[step](study, cast.ada)
    return study


def test_every_move_of_the_table_has_a_service_and_every_status_a_path():
    assert {move.action for move in STUDY_MOVES} == set(ACTS)
    assert set(StudyStatus) == set(PATHS)


@pytest.mark.parametrize("action", sorted(ACTS))
@pytest.mark.parametrize("status", list(StudyStatus))
def test_study_obeys_the_table(status, action, draft, cast):
    study = brought_to(status, draft, cast)
    before = list(study.events.values_list("id", flat=True))
    if action in actions(STUDY_MOVES, status):
        ACTS[action](study, cast.ada)
        expected = destination(STUDY_MOVES, action, status)
        assert study.events.count() > len(before)
    else:
        with pytest.raises(IllegalMove, match=f"cannot {action} while {status}"):
            ACTS[action](study, cast.ada)
        expected = status
        assert list(study.events.values_list("id", flat=True)) == before
    assert study.status == expected
    assert Study.objects.get().status == expected


@pytest.mark.parametrize("status", [s for s in StudyStatus if not actions(STUDY_MOVES, s)])
def test_an_ended_study_knows_when_and_never_moves_again(status, draft, cast):
    study = brought_to(status, draft, cast)
    assert study.ended_at is not None


PART_ACTS = {
    "approve": lambda row, by: participations.approve(
        row, by=by, dataset="heart", protocol_digest=row.study.protocol_digest
    ),
    "decline": lambda row, by: participations.decline(row, by=by, reason="not now"),
    "withdraw": lambda row, by: participations.withdraw(row, by=by, reason="never mind"),
}
PART_PATHS = {
    ParticipationStatus.INVITED: (),
    ParticipationStatus.APPROVED: ("approve",),
    ParticipationStatus.DECLINED: ("decline",),
    ParticipationStatus.WITHDRAWN: ("withdraw",),
}


@pytest.mark.parametrize("action", sorted(PART_ACTS))
@pytest.mark.parametrize("status", list(ParticipationStatus))
def test_participation_obeys_the_table(status, action, part, cast):
    row = part("cleveland")
    for step in PART_PATHS[status]:
        PART_ACTS[step](row, cast.carla)
    decisions = row.approvals.count()
    if action in actions(PARTICIPATION_MOVES, status, "site_admin"):
        PART_ACTS[action](row, cast.carla)
        assert row.status == destination(PARTICIPATION_MOVES, action, status)
        assert row.approvals.count() == decisions + 1
    else:
        with pytest.raises(IllegalMove, match=f"cannot {action}"):
            PART_ACTS[action](row, cast.carla)
        assert part("cleveland").status == status
        assert row.approvals.count() == decisions


@pytest.mark.parametrize("action", sorted(TIMELY))
@pytest.mark.parametrize("status", [s for s in StudyStatus if s != StudyStatus.DRAFT])
def test_an_institution_decides_before_the_start_and_leaves_before_the_end(
    status, action, draft, cast
):
    if status == StudyStatus.WITHDRAWN:
        study = studies.withdraw(brought_to(StudyStatus.SUBMITTED, draft, cast), by=cast.ada)
    else:
        study = brought_to(status, draft, cast)
    row = study.participations.get(institution__slug="cleveland")
    if status in TIMELY[action] and action == "withdraw":
        PART_ACTS[action](row, cast.carla)
        assert row.status == ParticipationStatus.WITHDRAWN
    elif status not in TIMELY[action]:
        with pytest.raises(IllegalMove, match=f"cannot {action} while the study is {status}"):
            PART_ACTS[action](row, cast.carla)


def test_every_move_names_who_may_cause_it():
    assert {move.who for move in STUDY_MOVES} == {"lead", "engine"}
    assert {move.who for move in PARTICIPATION_MOVES} == {"lead", "site_admin"}


def test_the_error_says_what_is_possible():
    with pytest.raises(IllegalMove, match="possible now: pause, hold, withdraw"):
        destination(STUDY_MOVES, "submit", StudyStatus.RUNNING)
    with pytest.raises(IllegalMove, match="possible now: nothing"):
        destination(STUDY_MOVES, "start", StudyStatus.COMPLETED)
