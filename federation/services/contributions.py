"""Receiving what a site answers: checked outside a transaction, kept in one short one.

Answers to an assignment are final. The same bytes again get the same answer; other bytes do not.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction
from django.utils import timezone

from accounting.keys import Key, Move
from accounting.models import EntryKind
from accounting.services import ledger
from federation import phases
from federation.models import Assignment, AssignmentStatus, Contribution, RoundStatus
from federation.protocol import messages
from federation.protocol.canonical import digest
from federation.services import auditing, blobs, checks, deliveries, witnessing
from federation.services.deliveries import Closed
from federation.services.facts import keys_of, place_of
from federation.services.settling import UNSETTLED
from studies.models import Institution
from studies.selectors.protocols import protocol_of
from studies.services import engine, events
from studies.states import ALIVE

HEADER_ROOM = 64 * 1024  # safetensors' own header, beside the numbers
LONGEST_REASON = 200


class BadMessage(Exception):
    """The envelope is not a message of this site about this assignment; nothing was used up."""


class Conflict(Exception):
    """The assignment was answered with other bytes, or too late."""


class TensorsMissing(Exception):
    """The contribution names tensors that were not uploaded."""


@dataclass(frozen=True)
class Answer:
    """What the hub says to a contribution, now and whenever the same bytes come again."""

    accepted: bool
    reason: str


@dataclass(frozen=True)
class _Verdict:
    """What is to be written for one message: rows of the ledger, status, event."""

    status: AssignmentStatus
    accepted: bool
    reason: str
    event: str
    tensors_digest: str = ""


def room_for(institution: Institution, uid: str, *, now: datetime | None = None) -> int:
    """The most bytes that this assignment's tensors may have. Raises NotFound, Closed."""
    row = deliveries.assignment_of(institution, uid)
    _must_be_open(row, now or timezone.now())
    model = blobs.path(row.model_digest).stat().st_size
    protocol = protocol_of(row.round.study)
    if row.phase == phases.TRAIN.name:
        return model + HEADER_ROOM
    answer = phases.phase(row.phase).answer(protocol, {})
    return sum(array.nbytes for array in answer.values()) + HEADER_ROOM


def receive(
    institution: Institution, uid: str, envelope: bytes, *, now: datetime | None = None
) -> Answer:
    """Check and keep a signed Contribution or Refusal, and move the ledger along.

    Raises:
        NotFound: not this institution's assignment.
        BadMessage: forged, truncated, or about something else; the assignment stays open.
        TensorsMissing: upload them first.
        Conflict: answered with other bytes before, or too late; a late one stays charged.
    """
    now = now or timezone.now()
    row = deliveries.assignment_of(institution, uid)
    if (again := _again(row, envelope)) is not None:
        return again
    message = _opened(row, envelope)
    if isinstance(message, messages.Refusal) and message.reason is messages.Reason.LEDGER_FORKED:
        witnessing.failed(row)
    if _closed(row, now):
        _reject_late(row, message, envelope, now)
    refusal = isinstance(message, messages.Refusal)
    verdict = _refused(message) if refusal else _judge(row, message)
    return _keep(row, message, envelope, verdict, now)


def _again(row: Assignment, envelope: bytes) -> Answer | None:
    """The earlier answer to the same bytes. Raises Conflict for other bytes, or if it was late."""
    before: Contribution | None = getattr(row, "contribution", None)
    if before is None:
        return None
    if bytes(before.message) != envelope:
        raise Conflict("this assignment was answered before, with other bytes; keep to those")
    if row.status not in (AssignmentStatus.ANSWERED, AssignmentStatus.REFUSED):
        raise Conflict(before.reason)
    return Answer(before.accepted, before.reason)


def _opened(row: Assignment, envelope: bytes) -> messages.Contribution | messages.Refusal:
    try:
        message = messages.open_envelope(
            envelope, row.institution.site_key, (messages.Contribution, messages.Refusal)
        )
        _about(row, message)
    except messages.MessageError as error:
        _tell(row, "contribution_rejected", str(error))
        raise BadMessage(str(error)) from error
    return message


def _about(row: Assignment, message: messages.Contribution | messages.Refusal) -> None:
    """Raise MessageError unless the message answers exactly this assignment."""
    expected = {
        "assignment": row.uid,
        "site": row.institution.slug,
        "study": row.round.study.slug,
        "round": row.round.number,
        "attempt": row.round.attempt,
        "phase": row.phase,
    }
    if isinstance(message, messages.Contribution):
        expected |= {
            "protocol_digest": row.round.protocol_digest,
            "model_digest": row.model_digest,
        }
    wrong = [name for name, value in expected.items() if getattr(message, name) != value]
    if wrong:
        raise messages.MessageError(f"the message is about another {wrong[0]}")


def _closed(row: Assignment, now: datetime) -> bool:
    return (
        row.status not in UNSETTLED
        or row.expires_at <= now
        or row.round.status != RoundStatus.OPEN
        or not (row.round.study.status in ALIVE or row.phase == phases.REVEAL.name)
    )


def _must_be_open(row: Assignment, now: datetime) -> None:
    if _closed(row, now):
        raise Closed("the assignment is closed: answered, past its deadline, or its round ended")


def _reject_late(
    row: Assignment,
    message: messages.Contribution | messages.Refusal,
    envelope: bytes,
    now: datetime,
) -> None:
    """Keep the late message for the auditor, once, and say whether its tensors are here; what it
    cost stays charged."""
    reason = f"too late: the assignment closed at {messages.timestamp(row.expires_at)}"
    if row.expires_at > now:
        reason = "too late: the round ended before this contribution came"
    with transaction.atomic():
        _, created = Contribution.objects.get_or_create(
            assignment=row,
            defaults={
                "message": envelope,
                "accepted": False,
                "reason": reason,
                "received_at": now,
            },
        )
        if created:
            _tell_late(row, message, reason)
    raise Conflict(f"{reason}; it is not used, and stays charged")


def _tell_late(
    row: Assignment, message: messages.Contribution | messages.Refusal, reason: str
) -> None:
    """A site that heard that its round is over, and stopped, did what it was to do."""
    if isinstance(message, messages.Refusal) and message.reason is messages.Reason.CANCELLED:
        _tell(row, "assignment_stopped", "")
    else:
        _tell(row, "contribution_rejected", reason, **_held(message))


def _held(message: messages.Contribution | messages.Refusal) -> dict[str, str]:
    """The tensors of an answer, where the hub holds them."""
    sent = isinstance(message, messages.Contribution) and blobs.exists(message.tensors_digest)
    return {"tensors_digest": message.tensors_digest} if sent else {}


def _refused(message: messages.Refusal) -> _Verdict:
    reason = f"{message.reason}{', after access' if message.accessed else ''}"
    return _Verdict(AssignmentStatus.REFUSED, False, reason, "assignment_refused")


def _judge(row: Assignment, message: messages.Contribution) -> _Verdict:
    if not blobs.exists(message.tensors_digest):
        raise TensorsMissing("upload the tensors first, then send the contribution again")
    try:
        _check(row, message)
    except checks.Unfit as error:
        reason = str(error)[:LONGEST_REASON]
        return _Verdict(
            AssignmentStatus.ANSWERED,
            False,
            reason,
            "contribution_rejected",
            message.tensors_digest,
        )
    return _Verdict(
        AssignmentStatus.ANSWERED, True, "", "contribution_received", message.tensors_digest
    )


def _check(row: Assignment, message: messages.Contribution) -> None:
    protocol = protocol_of(row.round.study)
    if phases.phase(row.phase).priced:
        checks.check(protocol, row.round, message, row.model_digest)
    else:
        auditing.check(row, protocol, message)


@transaction.atomic
def _keep(
    row: Assignment,
    message: messages.Contribution | messages.Refusal,
    envelope: bytes,
    verdict: _Verdict,
    now: datetime,
) -> Answer:
    """Write message, status, ledger and event in one commit; look again first (fencing).

    The ledger comes before the event: its lock is the last that this transaction waits for.
    """
    rows = Assignment.objects.select_for_update(of=("self",))
    # Not joined with the contribution: only the locked table is read again after the wait.
    fresh = rows.select_related("institution", "round__study").get(pk=row.pk)
    if (again := _again(fresh, envelope)) is not None:
        return again
    if _closed(fresh, now):
        raise Conflict("too late: the round ended before this contribution came")
    Contribution.objects.create(
        assignment=fresh,
        message=envelope,
        tensors_digest=verdict.tensors_digest,
        accepted=verdict.accepted,
        reason=verdict.reason,
        received_at=now,
    )
    _enter(fresh, message, envelope, verdict, now)
    fresh.status, fresh.reason, fresh.answered_at = verdict.status, verdict.reason, now
    fresh.step = fresh.steps if verdict.accepted else fresh.step
    fresh.save(update_fields=["status", "reason", "answered_at", "step"])
    _tell(fresh, verdict.event, verdict.reason)
    transaction.on_commit(partial(_wake_when_complete, fresh))
    return Answer(verdict.accepted, verdict.reason)


def _enter(
    row: Assignment,
    message: messages.Contribution | messages.Refusal,
    envelope: bytes,
    verdict: _Verdict,
    now: datetime,
) -> None:
    """The ledger's rows: what was spent, or that a site is bound to its coins."""
    if phases.phase(row.phase).priced:
        ledger.record(_moves(row, message, envelope, verdict), now=now)
    elif verdict.accepted and row.phase == phases.COMMIT.name:
        auditing.commit(row, verdict.tensors_digest, now)


def _moves(
    row: Assignment,
    message: messages.Contribution | messages.Refusal,
    envelope: bytes,
    verdict: _Verdict,
) -> list[Move]:
    """The ledger's part of the story. Only a site's signed word gives a reservation back."""
    key: Key = keys_of([row])[row.id]
    if isinstance(message, messages.Refusal) and not message.accessed:
        facts = {"reason": f"site: {message.reason}", "evidence": digest(envelope)}
        return [Move(key, EntryKind.ABORTED, facts)]
    charged = Move(key, EntryKind.CHARGED, {})
    if isinstance(message, messages.Refusal):
        said = {"journal": dict(message.charge)} if message.charge else {}
        facts = {"reason": f"site: {verdict.reason}"} | said
        return [charged, Move(key, EntryKind.REFUSED, facts)]
    released = Move(
        key,
        EntryKind.RELEASED,
        {"tensors_digest": message.tensors_digest, "journal": dict(message.journal)},
    )
    if verdict.accepted:
        return [charged, released]
    return [charged, released, Move(key, EntryKind.REFUSED, {"reason": verdict.reason})]


def _tell(row: Assignment, kind: str, reason: str, **more: str) -> None:
    payload = more | ({"reason": reason} if reason else {})
    events.record(kind, **place_of(row), **payload)


def _wake_when_complete(row: Assignment) -> None:
    """Only the answer that completes its phase wakes the engine: one task, not one per site.

    Asked after commit, the last of several at once sees all; a lost wake waits for the sweeper.
    """
    waiting = Assignment.objects.filter(round=row.round, phase=row.phase, status__in=UNSETTLED)
    if not waiting.exists():
        engine.wake(row.round.study)
