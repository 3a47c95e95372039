"""The one writer of studies: their protocol, its revisions and their status."""

from typing import Any

from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from federation.protocol.document import Protocol
from federation.protocol.plans import unsealed
from studies import signals
from studies.models import Person, Revision, Study
from studies.selectors.protocols import protocol_of
from studies.selectors.readiness import active_participations, obstacles
from studies.services import documents, engine, events, participations
from studies.services.errors import ChangedMeanwhile, NotReady
from studies.states import ENDED, STUDY_MOVES, StudyStatus, destination

SLUG_LENGTH = 70  # leaves room for a number: names may repeat, slugs may not
SLUG_TRIES = 10


def create(*, protocol: Protocol, by: Person, public_evaluation: File | None = None) -> Study:
    """Keep a new draft led by `by`; a plan in the document is left out until submission.

    Raises ProtocolRefused when the public evaluation file is not the one that is named.
    """
    protocol = documents.with_evaluation(unsealed(protocol), public_evaluation)
    for _ in range(SLUG_TRIES):
        try:
            return _create(_free_slug(protocol.name), protocol, by, public_evaluation)
        except IntegrityError:
            continue  # somebody else took the slug between looking and writing
    raise ChangedMeanwhile("many studies of this name are being written; try again")


@transaction.atomic
def _create(slug: str, protocol: Protocol, by: Person, public_evaluation: File | None) -> Study:
    study = Study(slug=slug, lead=by)
    documents.keep_evaluation(study, protocol, public_evaluation)
    _write(study, protocol, by)
    events.record("study_created", study=study, by=by)
    return study


def revise(
    study: Study, protocol: Protocol, *, by: Person, public_evaluation: File | None = None
) -> Study:
    """Replace the protocol. After submission it is sealed anew and every approval is reopened.

    A protocol that says the same as before changes nothing. Raises IllegalMove, ProtocolRefused
    and ChangedMeanwhile.
    """
    to = destination(STUDY_MOVES, "revise", study.status)
    invites = to == StudyStatus.SUBMITTED
    protocol = documents.with_evaluation(unsealed(protocol), public_evaluation)
    if public_evaluation is None:
        documents.must_still_fit(study, protocol)
    cohort = participations.registered(protocol) if invites else []
    protocol = participations.declared(protocol, cohort) if invites else protocol
    if protocol == unsealed(protocol_of(study)):
        return study
    ready = documents.sealed(protocol) if invites else protocol
    with transaction.atomic():
        _lock_unchanged(study)
        _move(study, "revise")
        documents.keep_evaluation(study, ready, public_evaluation)
        revision = _write(study, ready, by)
        events.record(
            "study_revised", study=study, by=by, revision=revision.number, digest=ready.digest
        )
        if invites:
            participations.convene(study, cohort, by=by)
    return study


def submit(study: Study, *, by: Person) -> Study:
    """Seal the plan and invite the cohort. Raises IllegalMove, ProtocolRefused, ChangedMeanwhile.

    The plan is computed before the row is locked: calibrating noise takes a while.
    """
    destination(STUDY_MOVES, "submit", study.status)
    documents.must_have_evaluation(study)
    cohort = participations.registered(protocol_of(study))
    ready = documents.sealed(participations.declared(protocol_of(study), cohort))
    with transaction.atomic():
        _lock_unchanged(study)
        _move(study, "submit")
        _write(study, ready, by)
        events.record("study_submitted", study=study, by=by, digest=ready.digest)
        participations.convene(study, cohort, by=by)
    return study


@transaction.atomic
def start(study: Study, *, by: Person, reason: str = "") -> Study:
    """Run the study once all of its cohort approved this digest and its plan fits every budget.

    Raises IllegalMove, NotReady.
    """
    _lock(study)
    destination(STUDY_MOVES, "start", study.status)
    if missing := obstacles(study):
        raise NotReady(f"{study} cannot start: {'; '.join(map(str, missing))}")
    signals.starting.send(Study, study=study)
    _move(study, "start", reason)
    return _tell("study_started", study, by, reason)


@transaction.atomic
def pause(study: Study, *, by: Person, reason: str = "") -> Study:
    """Open no further round until resumed; raises IllegalMove."""
    _lock(study)
    _move(study, "pause", reason)
    return _tell("study_paused", study, by, reason)


@transaction.atomic
def resume(study: Study, *, by: Person, reason: str = "") -> Study:
    """Go on; raises IllegalMove, and NotReady when the quorum cannot be reached any more."""
    _lock(study)
    destination(STUDY_MOVES, "resume", study.status)
    active, quorum = len(active_participations(study)), protocol_of(study).quorum
    if active < quorum:
        raise NotReady(
            f"{study} needs {quorum} institutions a round and has {active}; withdraw it and write "
            "one for those who remain, or with a lower quorum"
        )
    _move(study, "resume", reason)
    return _tell("study_resumed", study, by, reason)


@transaction.atomic
def withdraw(study: Study, *, by: Person, reason: str = "") -> Study:
    """End the study for good, by its lead's wish; what was spent stays spent."""
    _lock(study)
    _move(study, "withdraw", reason)
    return _tell("study_withdrawn", study, by, reason)


@transaction.atomic
def hold(study: Study, *, reason: str) -> Study:
    """The engine pauses a study that needs a person's decision."""
    _lock(study)
    _move(study, "hold", reason)
    return _tell("study_held", study, None, reason)


@transaction.atomic
def hold_if_running(study_id: int, *, reason: str) -> None:
    """Pause it for a person's decision unless it has stopped by itself meanwhile."""
    row = Study.objects.select_for_update(no_key=True).get(pk=study_id)
    if row.status == StudyStatus.RUNNING:
        hold(row, reason=reason)


@transaction.atomic
def complete(study: Study, *, reason: str = "") -> Study:
    """The engine closed the last round."""
    _lock(study)
    _move(study, "complete", reason)
    return _tell("study_completed", study, None, reason)


@transaction.atomic
def exhaust(study: Study, *, reason: str) -> Study:
    """The engine found that the next round fits some budget no more."""
    _lock(study)
    _move(study, "exhaust", reason)
    return _tell("study_exhausted", study, None, reason)


@transaction.atomic
def fail(study: Study, *, reason: str) -> Study:
    """The engine cannot go on, and no person can help."""
    _lock(study)
    _move(study, "fail", reason)
    return _tell("study_failed", study, None, reason)


def _lock(study: Study) -> None:
    """Lock the row and look at it again; the caller's object is brought up to date.

    NO KEY: sites' transactions insert events that refer to the study and must not wait.
    """
    study.refresh_from_db(from_queryset=Study.objects.select_for_update(no_key=True))


def _lock_unchanged(study: Study) -> None:
    before = study.protocol_digest
    _lock(study)
    if study.protocol_digest != before:
        raise ChangedMeanwhile("the protocol was changed by somebody else; read it and try again")


def _move(study: Study, action: str, reason: str = "") -> None:
    """The one place where a study's status changes; the caller holds its lock."""
    study.status = destination(STUDY_MOVES, action, study.status)
    study.status_reason = reason
    if study.status == StudyStatus.RUNNING and study.started_at is None:
        study.started_at = timezone.now()
    if study.status in ENDED:
        study.ended_at = timezone.now()
    study.save(update_fields=["status", "status_reason", "started_at", "ended_at"])
    if study.status in ENDED:
        signals.ended.send(Study, study=study)


def _tell(kind: str, study: Study, by: Person | None, reason: str) -> Study:
    payload: dict[str, Any] = {"reason": reason} if reason else {}
    events.record(kind, study=study, by=by, **payload)
    engine.wake(study)
    return study


def _write(study: Study, protocol: Protocol, by: Person) -> Revision:
    """Keep `protocol` as the study's document and as its next revision."""
    study.name = protocol.name
    study.document = protocol.canonical().decode()
    study.protocol_digest = protocol.digest
    study.save()
    return Revision.objects.create(
        study=study,
        number=study.revisions.count() + 1,
        document=study.document,
        protocol_digest=study.protocol_digest,
        by=by,
        at=timezone.now(),
    )


def _free_slug(name: str) -> str:
    stem = slugify(name).replace("_", "-")[:SLUG_LENGTH].strip("-") or "study"
    taken = set(Study.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    numbered = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return next(slug for slug in (stem, *numbered) if slug not in taken)
