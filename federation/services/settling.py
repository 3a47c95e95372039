"""Ending assignments that nobody answered: lost stays charged, untouched is given back."""

from collections.abc import Sequence
from datetime import datetime

from accounting.keys import Move
from accounting.models import EntryKind
from accounting.services import ledger
from federation import phases
from federation.models import Assignment, AssignmentStatus, Round, RoundStatus
from federation.services.facts import keys_of, place_of
from studies.services import events

UNSETTLED = (AssignmentStatus.OPEN, AssignmentStatus.TAKEN)


def unsettled(round_: Round) -> list[Assignment]:
    """The current phase's assignments that may still be answered, locked, oldest first."""
    rows = Assignment.objects.select_for_update(of=("self",))
    rows = rows.select_related("institution", "round__study").order_by("id")
    return list(rows.filter(round=round_, phase=round_.phase, status__in=UNSETTLED))


def settle(
    assignments: Sequence[Assignment], reason: str, now: datetime, *, tell: bool = True
) -> None:
    """End these assignments: taken → lost (charged for good), open → unused (given back).

    A site that took its assignment may have computed; nobody can prove otherwise. `tell`: each
    loss is an event of its own, for somebody to explain.
    """
    if not assignments:
        return
    keys = keys_of(list(assignments))
    moves = []
    for row in assignments:
        taken = row.status == AssignmentStatus.TAKEN
        row.status = AssignmentStatus.LOST if taken else AssignmentStatus.UNUSED
        row.reason = reason
        kind = EntryKind.LOST if taken else EntryKind.ABORTED
        if phases.phase(row.phase).priced:
            moves.append(Move(keys[row.id], kind, {"reason": reason}))
    if moves:
        ledger.record(moves, now=now)
    Assignment.objects.bulk_update(assignments, ["status", "reason"])
    for row in assignments:
        if tell and row.status == AssignmentStatus.LOST:
            events.record("assignment_lost", **place_of(row), reason=reason)


def end(round_: Round, reason: str, now: datetime) -> None:
    """Close an attempt without a model; what was charged stays charged."""
    round_.status, round_.reason, round_.closed_at = RoundStatus.FAILED, reason, now
    round_.save(update_fields=["status", "reason", "closed_at"])


def fail(round_: Round, reason: str, now: datetime) -> None:
    """`end` it, and tell everybody."""
    end(round_, reason, now)
    events.record(
        "round_failed",
        study=round_.study,
        round=round_.number,
        attempt=round_.attempt,
        reason=reason,
    )
