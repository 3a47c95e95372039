"""The one maker of progress: looks at a study's rows, does what they call for, commits, repeats.

Each step is computed without a lock and committed in a short transaction that holds the study's
row and looks again (fencing): whoever comes second, after a crash or in a second worker, finds
the rows changed and does nothing. Killing the process anywhere costs the step's time: blobs are
synced before a row names them, and a reservation, its assignment and its round are one commit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounting.keys import Move
from accounting.models import EntryKind
from accounting.selectors import reconciliation
from accounting.services import committing, ledger
from federation import phases
from federation.models import (
    Assignment,
    Checkpoint,
    Round,
    RoundStatus,
)
from federation.protocol.document import Protocol
from federation.selectors.audits import outstanding
from federation.services import (
    auditing,
    closing,
    measuring,
    opening,
    revealing,
    rounds,
    settling,
    verdicts,
)
from federation.services.facts import keys_of
from federation.services.settling import UNSETTLED
from studies.models import Participation, Study
from studies.selectors.protocols import protocol_of
from studies.selectors.readiness import active_participations
from studies.services import events, studies
from studies.states import ALIVE, StudyStatus

log = structlog.get_logger(__name__)
MAX_STEPS = 64  # a bound, not a plan: each step changes rows or another worker did
Step = Callable[[Study, Round | None, datetime], None]


class _Overtaken(Exception):
    """Somebody else changed the rows meanwhile; look again."""


def due() -> list[int]:
    """Ids of the studies a sweep looks at: running ones, and any that has a round open."""
    wanted = Q(status=StudyStatus.RUNNING) | Q(rounds__status=RoundStatus.OPEN)
    wanted |= Q(pk__in=revealing.due().values("pk"))
    return list(Study.objects.filter(wanted).order_by("id").values_list("id", flat=True).distinct())


def advance(study_id: int, *, now: Callable[[], datetime] = timezone.now) -> int:
    """Make all progress that the rows allow; returns the number of steps taken (0: nothing to do).

    Idempotent: any number of calls, at once or one after the other, come to the same end.
    """
    for taken in range(MAX_STEPS):
        study = Study.objects.filter(pk=study_id).first()
        round_ = _newest(study) if study else None
        step = _next(study, round_, now()) if study else None
        if step is None:
            return taken
        try:
            step(study, round_, now())
        except _Overtaken:
            log.info("overtaken", study=study.slug, step=step.__name__)
    return MAX_STEPS


def _newest(study: Study) -> Round | None:
    newest = study.rounds.order_by("-number", "-attempt").first()
    if newest is not None:
        newest.study = study
    return newest


def _next(study: Study, round_: Round | None, now: datetime) -> Step | None:
    """The step that the rows call for; None when they wait for a site or for a person."""
    if round_ is not None and round_.status == RoundStatus.OPEN:
        return _next_of_open(study, round_, now)
    if study.status != StudyStatus.RUNNING:
        return _reveal if outstanding(study) else None
    number, _ = opening.next_number(study)
    return _complete if number > protocol_of(study).rounds.count else _open


def _next_of_open(study: Study, round_: Round, now: datetime) -> Step | None:
    if study.status not in ALIVE and not revealing.goes_on(study, round_):
        return _stand_down
    waiting = Assignment.objects.filter(
        round=round_, phase=round_.phase, status__in=UNSETTLED
    ).values_list("institution_id", "expires_at")
    if not waiting:
        return _close
    active = {part.institution_id for part in active_participations(study)}
    gone = any(site not in active or expires <= now for site, expires in waiting)
    return _settle if gone else None


@contextmanager
def _locked(study: Study, round_: Round | None) -> Iterator[Study]:
    """A transaction on the study's row in which nothing differs from what the step looked at.

    NO KEY: sites' transactions insert events that refer to the study and must not wait.
    Raises _Overtaken, which rolls back.
    """
    with transaction.atomic():
        row = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
        newest = _newest(row)
        if row.status != study.status or _place(newest) != _place(round_):
            raise _Overtaken
        yield row


def _place(round_: Round | None) -> tuple[int, str, str, int] | None:
    return round_ and (round_.pk, round_.status, round_.phase, round_.quorum)


def _open(study: Study, round_: Round | None, now: datetime) -> None:
    """Open the next round or the next attempt; a budget that it would break ends the study."""
    protocol, parts = protocol_of(study), active_participations(study)
    if reason := reconciliation.obstacle(study, parts):
        _hold(study, round_, reason)
        return
    if len(parts) < protocol.quorum:
        _hold(study, round_, verdicts.too_few(protocol, [str(p.institution) for p in parts]))
        return
    try:
        first = None if study.checkpoints.exists() else closing.first_model(study)
        anew = closing.begun_anew(study, parts)
    except closing.CannotMake as error:
        _hold(study, round_, str(error))
        return
    ledger.warm(opening.reservations(study, protocol, parts))
    with _locked(study, round_) as row:
        try:
            with transaction.atomic():
                if first is not None:
                    committing.seal(row, protocol, parts)
                    _checkpoint(row, 0, first, now)
                opening.open_round(row, protocol, parts, now, anew)
        except ledger.BudgetExceeded as error:
            studies.exhaust(row, reason=verdicts.exhausted(opening.next_number(row)[0], error))
        except ledger.LedgerRefusal as error:
            studies.hold(row, reason=error.public)
    _look_ahead(study, protocol, parts)


def _look_ahead(study: Study, protocol: Protocol, parts: list[Participation]) -> None:
    """Derive the next round's figures while the sites train, off the critical path."""
    number = opening.next_number(study)[0] + 1
    if number <= protocol.rounds.count:
        ledger.warm(opening.reservations(study, protocol, parts, (number, 1)))


def _settle(study: Study, round_: Round, now: datetime) -> None:
    """End what is overdue, and what belongs to institutions that take part no more."""
    active = {part.institution_id for part in active_participations(study)}
    with _locked(study, round_) as row:
        rows = settling.unsettled(round_)
        gone = [a for a in rows if a.institution_id not in active]
        late = [a for a in rows if a.institution_id in active and a.expires_at <= now]
        settling.settle(gone, "the institution takes part no more", now)
        settling.settle(late, "no answer before the deadline", now)
        log.info("settled", study=row.slug, late=len(late), gone=len(gone))


def _stand_down(study: Study, round_: Round, now: datetime) -> None:
    """The study ended while a round was open: give back what nobody touched."""
    reason = f"the study is {study.status}"
    with _locked(study, round_) as row:
        round_.study = row
        settling.settle(settling.unsettled(round_), reason, now)
        settling.fail(round_, reason, now)


def _close(study: Study, round_: Round, now: datetime) -> None:
    phase = phases.phase(round_.phase)
    got = rounds.accepted(round_, phase.name).count()
    if phase.decisive and got < round_.quorum:
        _fail(study, round_, verdicts.below_quorum(round_), now)
        return
    try:
        _CLOSINGS[phase.name](study, round_, now)
    except closing.CannotMake as error:
        _fail(study, round_, str(error), now)


def _bind_coins(study: Study, round_: Round, now: datetime) -> None:
    """Each commitment stands in the ledger since it came; who sent none is not audited."""
    with _locked(study, round_) as row:
        round_.study = row
        _go_on(row, round_, [], now)


def _commit_audit(study: Study, round_: Round, now: datetime) -> None:
    """What the coins show, into the ledger; a refuted ε ends the study, if it has not ended."""
    found = measuring.outcome(round_)
    with _locked(study, round_) as row:
        round_.study = row
        refutation = auditing.conclude(row, found.findings, found.missing, now, found.together)
        if revealing.early(round_):
            revealing.close(round_, now)
            return
        checkpoint = Checkpoint.objects.get(study=row, number=round_.number)
        _go_on(row, round_, checkpoint.contributors, now)
        if refutation and row.status in ALIVE:  # one that ended stays as it ended; it is told
            studies.fail(row, reason=refutation)


def _reveal(study: Study, round_: Round | None, now: datetime) -> None:
    """The study ended early: its coins are asked for, or it is told why they cannot be judged."""
    with _locked(study, round_) as row:
        revealing.reveal(row, now)


def _commit_model(study: Study, round_: Round, now: datetime) -> None:
    made = closing.next_model(round_)
    with _locked(study, round_) as row:
        round_.study = row
        _checkpoint(row, round_.number, made, now)
        _acknowledge(round_, made.digest, now)
        if made.metrics:
            events.record("model_evaluated", study=row, round=round_.number, on="public rows")
        _go_on(row, round_, list(made.contributors), now)


def _commit_metrics(study: Study, round_: Round, now: datetime) -> None:
    sites = closing.site_metrics(round_)
    with _locked(study, round_) as row:
        round_.study = row
        checkpoint = Checkpoint.objects.get(study=row, number=round_.number)
        checkpoint.metrics = {**checkpoint.metrics, "sites": sites}
        checkpoint.save(update_fields=["metrics"])
        _acknowledge(round_, checkpoint.reported_digest, now)
        events.record(
            "model_evaluated", study=row, round=round_.number, on="the sites' hold-out rows"
        )
        _go_on(row, round_, checkpoint.contributors, now)


_CLOSINGS: dict[str, Step] = {
    phases.COMMIT.name: _bind_coins,
    phases.TRAIN.name: _commit_model,
    phases.EVALUATE.name: _commit_metrics,
    phases.REVEAL.name: _commit_audit,
}


def _go_on(study: Study, round_: Round, contributors: list[str], now: datetime) -> None:
    """Open the round's next phase, or close the round after its last one."""
    protocol = protocol_of(study)
    phase = phases.following(protocol, round_.number, round_.phase)
    refusal = phase and _open_phase(study, round_, phase, now)
    if phase and not refusal:
        return
    if phase and phase.decisive:
        settling.fail(round_, refusal, now)  # there is no model to close the round with
    else:
        _end(study, round_, contributors, refusal or "", now)
    if refusal and study.status == StudyStatus.RUNNING:
        studies.exhaust(study, reason=refusal)


def _end(study: Study, round_: Round, contributors: list[str], refusal: str, now: datetime) -> None:
    round_.status, round_.closed_at, round_.reason = RoundStatus.CLOSED, now, refusal
    round_.save(update_fields=["status", "closed_at", "reason"])
    events.record(
        "round_closed",
        study=study,
        round=round_.number,
        attempt=round_.attempt,
        contributors=contributors,
    )


def _open_phase(study: Study, round_: Round, phase: phases.Phase, now: datetime) -> str:
    """Ask those who were asked in this round and still take part; returns a refusal, or ''."""
    asked = set(round_.assignments.values_list("institution_id", flat=True))
    parts = [p for p in active_participations(study) if p.institution_id in asked]
    try:
        with transaction.atomic():
            opening.open_phase(round_, phase, protocol_of(study), parts, now)
            events.news("step_done", study=study)
    except ledger.LedgerRefusal as error:
        return f"Round {round_.number} ended without phase {phase.name}: {error.public}"
    return ""


def _checkpoint(study: Study, number: int, made: closing.Model, now: datetime) -> None:
    Checkpoint.objects.create(
        study=study,
        number=number,
        digest=made.digest,
        reported_digest=made.reported_digest,
        contributors=list(made.contributors),
        metrics=made.metrics,
        at=now,
    )


def _acknowledge(round_: Round, model_digest: str, now: datetime) -> None:
    """What was released became part of a model: for each contribution used, in one batch."""
    used = rounds.accepted(round_, round_.phase).select_related("assignment__round__study")
    rows = [contribution.assignment for contribution in used]
    keys = keys_of(rows)
    facts = {"model_digest": model_digest}
    ledger.record([Move(keys[r.id], EntryKind.ACKNOWLEDGED, facts) for r in rows], now=now)


def _fail(study: Study, round_: Round, reason: str, now: datetime) -> None:
    """The attempt has no model: a person decides what is next."""
    with _locked(study, round_) as row:
        round_.study = row
        settling.fail(round_, reason, now)
        if row.status == StudyStatus.RUNNING:
            studies.hold(row, reason=reason)


def _hold(study: Study, round_: Round | None, reason: str) -> None:
    with _locked(study, round_) as row:
        studies.hold(row, reason=reason)


def _complete(study: Study, round_: Round | None, now: datetime) -> None:
    with _locked(study, round_) as row:
        studies.complete(row)
