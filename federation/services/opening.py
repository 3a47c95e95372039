"""Opening a round and its phases: reserve for everybody or nobody, write assignments, then ring."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max

from accounting.dp.events import PrivacyEvent
from accounting.keys import Key, Reservation
from accounting.selectors import told
from accounting.services import ledger, watching
from accounting.services.committing import study_limit
from accounting.services.hub_key import hub_key
from federation import phases
from federation.learning import strategies
from federation.models import Assignment, Checkpoint, Round
from federation.protocol import messages
from federation.protocol.document import Protocol
from federation.selectors.used import last_used
from federation.services import bell, choosing
from federation.services.facts import expected_event, key_of
from studies.models import Participation, Study
from studies.services import events

Parts = Sequence[Participation]


@dataclass(frozen=True)
class Anew:
    """Where training starts from, where that is not the last model as it is, and why."""

    digest: str
    why: str


class _Undo(Exception):
    """Rolls the trial reservation back; never leaves this module."""


def next_number(study: Study) -> tuple[int, int]:
    """(round, attempt) that would be opened next: after the last model, after the last attempt.

    Also after every attempt that a site's journal tells of: a hub that was restored from a backup
    would else ask for what was charged and left already, and the sites would refuse.
    """
    last = Checkpoint.objects.filter(study=study).aggregate(last=Max("number"))["last"]
    number = (last or 0) + 1
    tried = study.rounds.filter(number=number).aggregate(last=Max("attempt"))["last"]
    return number, max(tried or 0, told.last_attempt(study.slug, number)) + 1


def reservations(
    study: Study,
    protocol: Protocol,
    parts: Parts,
    place: tuple[int, int] | None = None,
    noise: float | None = None,
) -> list[Reservation]:
    """What the next round, or that of `place` (round, attempt), reserves in all its phases.

    `noise` is what was chosen for it where the protocol is adaptive.
    """
    number, attempt = place or next_number(study)
    round_ = Round(study=study, number=number, attempt=attempt, noise_multiplier=noise)
    names = [phase.name for phase in phases.phases_of(protocol, number) if phase.priced]
    return [_reservation(protocol, round_, part, name) for name in names for part in parts]


def open_round(
    study: Study, protocol: Protocol, parts: Parts, now: datetime, anew: Anew | None = None
) -> Round:
    """Open the next round with its first phase; the caller holds the study's lock.

    `anew` says where sites begin from nothing kept.

    Raises:
        BudgetExceeded: one of this round's events (of any of its phases) fits a budget no more;
            nothing is reserved then, for anybody.
        NotLent: a dataset has no lifetime budget.
    """
    number, attempt = next_number(study)
    first, *later = phases.phases_of(protocol, number)
    noise = choosing.choose(study, protocol, parts, (number, attempt), now)
    if later:
        _try(reservations(study, protocol, parts, noise=noise))
    round_ = Round.objects.create(
        study=study,
        number=number,
        attempt=attempt,
        phase=first.name,
        phase_deadline=_deadline(protocol, now),
        quorum=protocol.quorum,
        protocol_digest=study.protocol_digest,
        noise_multiplier=noise,
        anew_digest=anew.digest if anew else "",
        opened_at=now,
    )
    open_phase(round_, first, protocol, parts, now)
    place = {"study": study, "round": number, "attempt": attempt}
    events.record("round_opened", **place)
    if anew:
        events.record("control_anew", **place, reason=anew.why)
    return round_


def open_phase(
    round_: Round, phase: phases.Phase, protocol: Protocol, parts: Parts, now: datetime
) -> None:
    """Reserve, write one signed assignment per institution, ring after commit.

    Raises BudgetExceeded or NotLent before anything is written.
    """
    if phase.priced:
        wanted = [_reservation(protocol, round_, part, phase.name) for part in parts]
        watching.look(ledger.reserve_all(wanted))
    round_.phase, round_.phase_deadline = phase.name, _deadline(protocol, now)
    round_.save(update_fields=["phase", "phase_deadline"])
    checkpoint = Checkpoint.objects.get(study=round_.study, number=round_.number + phase.checkpoint)
    given = getattr(checkpoint, phase.gives)
    if phase is phases.TRAIN and round_.anew_digest:
        given = round_.anew_digest
    _assign(round_, phase, protocol, parts, given, now)


def _assign(
    round_: Round,
    phase: phases.Phase,
    protocol: Protocol,
    parts: Parts,
    model_digest: str,
    now: datetime,
) -> None:
    Assignment.objects.bulk_create(
        _assignment(round_, phase, protocol, part, model_digest, now) for part in parts
    )
    bell.ring(part.institution.slug for part in parts)


def open_reveal(
    study: Study,
    protocol: Protocol,
    parts: Parts,
    place: tuple[int, int],
    model_digest: str,
    now: datetime,
) -> Round:
    """Open an attempt (number, attempt) that only reveals coins; it costs nothing."""
    round_ = Round.objects.create(
        study=study,
        number=place[0],
        attempt=place[1],
        phase=phases.REVEAL.name,
        phase_deadline=_deadline(protocol, now),
        quorum=protocol.quorum,
        protocol_digest=study.protocol_digest,
        opened_at=now,
    )
    _assign(round_, phases.REVEAL, protocol, parts, model_digest, now)
    return round_


def _try(requests: list[Reservation]) -> None:
    """Ask whether all phases fit together, leaving no trace: later ones reserve when they open."""
    try:
        with transaction.atomic():
            ledger.reserve_all(requests)
            raise _Undo
    except _Undo:
        return


def _reservation(protocol: Protocol, round_: Round, part: Participation, phase: str) -> Reservation:
    key: Key = key_of(round_.study, part, round_, phase)
    event = expected_event(protocol, round_, phase, part.institution.slug)
    limit = study_limit(protocol, part.institution.slug)
    return Reservation(key, event, round_.study.protocol_digest, limit)


def _deadline(protocol: Protocol, now: datetime) -> datetime:
    return now + timedelta(seconds=protocol.rounds.deadline_seconds)


def _assignment(
    round_: Round,
    phase: phases.Phase,
    protocol: Protocol,
    part: Participation,
    model_digest: str,
    now: datetime,
) -> Assignment:
    slug, uid = part.institution.slug, secrets.token_hex(16)
    event = None
    if phase.priced:
        event = expected_event(protocol, round_, phase.name, slug)
    message = messages.Assignment(
        assignment=uid,
        addressee=slug,
        study=round_.study.slug,
        round=round_.number,
        attempt=round_.attempt,
        phase=phase.name,
        issued_at=messages.timestamp(now),
        expires_at=messages.timestamp(round_.phase_deadline),
        protocol_digest=round_.protocol_digest,
        model_digest=model_digest,
        parameters=_parameters(protocol, round_, phase, part, event),
    )
    return Assignment(
        uid=uid,
        round=round_,
        phase=phase.name,
        institution=part.institution,
        model_digest=model_digest,
        message=messages.sign(message, hub_key()),
        steps=event.steps if event else 1,
        issued_at=now,
        expires_at=round_.phase_deadline,
    )


def _parameters(
    protocol: Protocol,
    round_: Round,
    phase: phases.Phase,
    part: Participation,
    event: PrivacyEvent | None,
) -> dict[str, Any]:
    """The event, and where the strategy has sites go on from a contribution, which one that is."""
    found: dict[str, Any] = {"event": event.to_json()} if event else {}
    if phase is phases.TRAIN and strategies.get(protocol.aggregation.strategy).continues:
        found["after"] = last_used(round_.study, part.institution)
    return found
