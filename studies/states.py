"""The state machines of studies and participations, as tables.

The table raises the error, decides which buttons show and draws its own diagram in the docs.
"""

from dataclasses import dataclass

from django.db import models


class StudyStatus(models.TextChoices):
    """Where a study is in its life."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    WITHDRAWN = "withdrawn"
    EXHAUSTED = "exhausted"
    FAILED = "failed"


ALIVE = (StudyStatus.RUNNING, StudyStatus.PAUSED)
ENDED = (
    StudyStatus.COMPLETED,
    StudyStatus.WITHDRAWN,
    StudyStatus.EXHAUSTED,
    StudyStatus.FAILED,
)


class ParticipationStatus(models.TextChoices):
    """Where an institution stands towards a study."""

    INVITED = "invited"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Move:
    """One legal change of status, and who may cause it ('lead', 'site_admin' or 'engine')."""

    action: str
    origins: tuple[str, ...]
    to: str
    who: str


_S, _P = StudyStatus, ParticipationStatus
STUDY_MOVES = (
    Move("submit", (_S.DRAFT,), _S.SUBMITTED, "lead"),
    Move("revise", (_S.DRAFT,), _S.DRAFT, "lead"),
    Move("revise", (_S.SUBMITTED,), _S.SUBMITTED, "lead"),
    Move("start", (_S.SUBMITTED,), _S.RUNNING, "lead"),
    Move("pause", (_S.RUNNING,), _S.PAUSED, "lead"),
    Move("hold", (_S.RUNNING,), _S.PAUSED, "engine"),
    Move("resume", (_S.PAUSED,), _S.RUNNING, "lead"),
    Move("withdraw", (_S.DRAFT, _S.SUBMITTED, _S.RUNNING, _S.PAUSED), _S.WITHDRAWN, "lead"),
    Move("complete", (_S.RUNNING,), _S.COMPLETED, "engine"),
    Move("exhaust", (_S.RUNNING,), _S.EXHAUSTED, "engine"),
    Move("fail", (_S.RUNNING, _S.PAUSED), _S.FAILED, "engine"),
)
PARTICIPATION_MOVES = (
    Move("approve", (_P.INVITED,), _P.APPROVED, "site_admin"),
    Move("decline", (_P.INVITED,), _P.DECLINED, "site_admin"),
    Move("reopen", (_P.INVITED, _P.APPROVED, _P.DECLINED, _P.WITHDRAWN), _P.INVITED, "lead"),
    Move("drop", (_P.INVITED, _P.APPROVED, _P.DECLINED), _P.WITHDRAWN, "lead"),
    Move("withdraw", (_P.INVITED, _P.APPROVED), _P.WITHDRAWN, "site_admin"),
)
# In which statuses of its study an institution may take each of its own moves.
TIMELY = {
    "approve": (_S.SUBMITTED,),
    "decline": (_S.SUBMITTED,),
    "withdraw": (_S.SUBMITTED, _S.RUNNING, _S.PAUSED),
}


class IllegalMove(Exception):
    """The action is not possible from this status; the message says what is."""


def destination(table: tuple[Move, ...], action: str, status: str) -> str:
    """Return the status that `action` leads to; raises IllegalMove when there is no row."""
    for move in table:
        if move.action == action and status in move.origins:
            return move.to
    possible = ", ".join(actions(table, status)) or "nothing"
    raise IllegalMove(f"cannot {action} while {status}; possible now: {possible}")


def actions(table: tuple[Move, ...], status: str, who: str | None = None) -> tuple[str, ...]:
    """Return the actions that `who` (anybody when None) may take from `status`."""
    return tuple(m.action for m in table if status in m.origins and who in (None, m.who))
