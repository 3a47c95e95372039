"""THE GATE: everything that leaves a site passes here; nothing else can send.

It lets out six things: a priced value that matches the charge of its open assignment, a public
value of an audit (a commitment, then exactly what it commits to), a refusal with a reason from the
closed list, the offer of what is lent, step k of K, and the journal itself, which holds keys,
events, digests and whole seconds only. In order: match, check, sign, store (synced), journal,
send. Texts of exceptions never pass.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

import structlog

from accounting.dp.events import PrivacyEvent
from federation.protocol.audit import COMMIT, FREE, REVEAL, FalseCoins, Public, coins_of, committed
from federation.protocol.canonical import canonical_json, digest
from federation.protocol.keys import SigningKey
from federation.protocol.messages import (
    Assignment,
    Contribution,
    Message,
    Offer,
    Reason,
    Refusal,
    Statement,
    moment,
    sign,
    timestamp,
)
from federation.protocol.priced import Priced
from federation.protocol.tensors import TensorError, Tensors, check_like, norm, pack
from federation.site import SOFTWARE
from federation.site.config import SiteConfig
from federation.site.journal import Entry, Journal, JournalFull, Kind, Slot
from federation.site.outbox import Outbox, Parcel
from federation.site.refused import Refused
from federation.site.transport.client import (
    AccessRefused,
    Client,
    HubAbsent,
    RequestRejected,
)
from federation.site.transport.sending import Sending
from federation.site.witness import Witness

QUIET_SECONDS = 10.0
CLOSED = frozenset({404, 409, 410})  # the hub will not ask for this answer again

log = structlog.get_logger()


class GateClosed(RuntimeError):
    """A value that may not leave was brought to the gate: a defect, never the hub's doing."""


@dataclass(frozen=True)
class Permit:
    """One open assignment with the charge that pays for it and the shape of its answer.

    Nothing in it is made of rows: whether a value passes is told to the hub without noise.
    """

    assignment: Assignment
    slot: Slot
    charge: Entry
    event: PrivacyEvent
    like: Tensors
    largest_norm: float


class Gate:
    """The only holder of the sending side."""

    def __init__(
        self,
        client: Client,
        *,
        key: SigningKey,
        site: str,
        journal: Journal,
        outbox: Outbox,
        clock: Callable[[], datetime],
    ) -> None:
        self._sending = Sending(client)
        self._key = key
        self._site = site
        self._journal = journal
        self._outbox = outbox
        self._clock = clock
        self._quiet_until = 0.0

    def offer(self, config: SiteConfig) -> None:
        """Say what is lent, and the machine's class. All errors are those of `Client.request`.

        A hub that is older than classes refuses the key: it gets the offer without it.
        """
        lent = [
            {
                "name": dataset.name,
                "lineage": dataset.root,
                "epsilon": repr(dataset.lifetime_epsilon),
                "delta": repr(dataset.lifetime_delta),
            }
            for dataset in config.dataset
        ]
        offer = Offer(
            site=self._site,
            datasets=lent,
            software=SOFTWARE,
            offered_at=timestamp(self._clock()),
            machine=config.machine.kind or "",
        )
        try:
            self._sending.offer(sign(offer, self._key))
        except RequestRejected as error:
            if error.status != HTTPStatus.BAD_REQUEST or not offer.machine:
                raise
            self._sending.offer(sign(replace(offer, machine=""), self._key))
            advice = "ask the hub to update; until then it counts this machine in no class"
            log.warning("hub_takes_no_machine_class", why=str(error), advice=advice)

    def state(self, told: int | None, witness: Witness, *, most: int) -> int:
        """Tell the journal after entry `told`, at most `most` entries; where the hub's copy ends.

        None as `told`: nothing is sent but the journal's end, and the hub says what it has. The
        message itself refuses whatever has another form. All errors are those of
        `Client.request`.
        """
        end = self._journal.head
        entries = self._journal.since((end[0] if told is None else told) + 1, most)
        statement = Statement(
            site=self._site,
            first=entries[0].sequence if entries else end[0] + 1,
            entries=[asdict(entry) for entry in entries],
            journal={"sequence": end[0], "digest": end[1]},
            checkpoint={"size": witness.size, "root": witness.root},
            stated_at=timestamp(self._clock()),
        )
        answer = self._sending.statement(sign(statement, self._key))
        known = answer.get("sequence")
        if isinstance(known, bool) or not isinstance(known, int) or known < 0:
            raise HubAbsent("the hub does not say which entries it has")
        return min(known, end[0])

    def progress(self, assignment: str, step: int, steps: int) -> bool:
        """Step k of K, at the pace of `Pulse`; True when the hub has closed the assignment.

        Never fails a round: while the hub is away, little is tried.
        """
        if time.monotonic() < self._quiet_until:
            return False
        try:
            self._sending.progress(assignment, step, steps)
        except RequestRejected as error:
            return error.status in CLOSED
        except (HubAbsent, AccessRefused):
            self._quiet_until = time.monotonic() + QUIET_SECONDS
        return False

    def release(self, permit: Permit, priced: Priced) -> bool:
        """Let a priced value out; True when the hub needs nothing more of this assignment.

        Raises:
            GateClosed: it is not what was charged for; nothing was stored or sent.
            JournalFull, OSError: it could not be stored; nothing was sent.
            HubAbsent, AccessRefused: it is stored, and will be sent when asked for again.
        """
        _check_priced(permit, priced)
        data = pack(priced.tensors)
        parcel = Parcel(sign(self._contribution(permit, priced, data), self._key), data)
        asked = permit.assignment
        self._outbox.store(asked.assignment, parcel, expires=moment(asked.expires_at))
        return self._depart(asked, permit.slot, parcel)

    def publish(self, assignment: Assignment, slot: Slot, like: Tensors, public: Public) -> bool:
        """Let out what reads no row and costs nothing; raises and returns as `release`."""
        _check_public(assignment, like, public)
        if assignment.phase == REVEAL:
            self._check_committed(assignment, public)
        data = pack(public.tensors)
        sequence, head = self._journal.head
        message = Contribution(
            **self._head(assignment),
            protocol_digest=assignment.protocol_digest,
            model_digest=assignment.model_digest,
            tensors_digest=digest(data),
            events=(),
            journal={"sequence": sequence, "digest": head},
        )
        parcel = Parcel(sign(message, self._key), data)
        expires = moment(assignment.expires_at)
        self._outbox.store(assignment.assignment, parcel, expires=expires)
        return self._depart(assignment, slot, parcel)

    def _check_committed(self, assignment: Assignment, public: Public) -> None:
        """A reveal says nothing that this site was not bound to before the study's first round."""
        try:
            bound = digest(pack(committed(coins_of(public.tensors)).tensors))
        except FalseCoins as error:
            raise GateClosed("the value holds something else than coins") from error
        entries = self._journal.released(assignment.study, COMMIT)
        if bound not in {entry.tensors_digest for entry in entries}:
            raise GateClosed("the coins are not those that this site committed to")

    def refuse(self, assignment: Assignment, slot: Slot, refused: Refused) -> bool:
        """Decline; `accessed` says whether its place was charged, so data may have been read.

        Its place in the study, for a replay comes under another name than what was charged.
        A stored answer is never replaced. When the disk takes nothing any more the refusal is
        still sent, for without it the hub would wait in vain. Errors as for `release`.
        """
        charge = self._charge(slot)
        refusal = Refusal(
            **self._head(assignment),
            reason=refused.reason,
            accessed=charge is not None,
            charge={"sequence": charge.sequence, "digest": charge.digest} if charge else {},
        )
        parcel = Parcel(sign(refusal, self._key), None)
        try:
            if self._outbox.find(assignment.assignment) is None:
                self._outbox.store(
                    assignment.assignment, parcel, expires=moment(assignment.expires_at)
                )
        except OSError as error:
            log.error("refusal_not_stored", kind=type(error).__name__)
        return self._depart(assignment, slot, parcel, refused.reason)

    def resend(self, assignment: Assignment, slot: Slot, parcel: Parcel) -> bool:
        """Send the stored answer again, byte for byte: no second charge, no second noise."""
        return self._depart(assignment, slot, parcel)

    def _depart(
        self, assignment: Assignment, slot: Slot, parcel: Parcel, reason: Reason | None = None
    ) -> bool:
        """Journal first, then send: what may have left is always written."""
        kind = Kind.REFUSED if parcel.tensors is None else Kind.RELEASED
        self._note(kind, slot, tensors=parcel.tensors, reason=reason or "")
        verdict, done = self._deliver(assignment.assignment, parcel)
        self._note(Kind.ACKNOWLEDGED, slot, tensors=parcel.tensors, reason=verdict)
        log.info(
            "answer_delivered",
            study=assignment.study,
            round=assignment.round,
            phase=assignment.phase,
            kind=str(kind),
            verdict=verdict,
        )
        return done

    def _deliver(self, assignment: str, parcel: Parcel) -> tuple[str, bool]:
        try:
            if parcel.tensors is not None:
                self._sending.tensors(assignment, parcel.tensors)
            answer = self._sending.answer(assignment, parcel.envelope)
        except RequestRejected as error:
            log.warning("answer_rejected", status=error.status, error=error.error)
            return f"rejected {error.status}", error.status in CLOSED
        return ("accepted" if answer.get("accepted") is True else "not accepted"), True

    def _note(self, kind: Kind, slot: Slot, *, tensors: bytes | None, reason: str) -> None:
        """Write `kind` once for each assignment. A refusal leaves even when the disk is full."""
        if kind in self._journal.about(slot.assignment):
            return
        left = digest(tensors) if tensors is not None else ""
        try:
            self._journal.append(kind, slot, at=self._clock(), tensors_digest=left, reason=reason)
        except JournalFull:
            if kind is Kind.RELEASED:
                raise
            log.error("journal_full", entry=str(kind))

    def _contribution(self, permit: Permit, priced: Priced, data: bytes) -> Message:
        return Contribution(
            **self._head(permit.assignment),
            protocol_digest=permit.assignment.protocol_digest,
            model_digest=permit.assignment.model_digest,
            tensors_digest=digest(data),
            events=tuple(event.to_json() for event in priced.events),
            journal={"sequence": permit.charge.sequence, "digest": permit.charge.digest},
        )

    def _head(self, assignment: Assignment) -> dict[str, Any]:
        return {
            "assignment": assignment.assignment,
            "site": self._site,
            "study": assignment.study,
            "round": assignment.round,
            "attempt": assignment.attempt,
            "phase": assignment.phase,
            "answered_at": timestamp(self._clock()),
        }

    def _charge(self, slot: Slot) -> Entry | None:
        """What was charged at this place of the study, or ever under this assignment's name."""
        found = self._journal.charge_of(slot)
        return found or self._journal.about(slot.assignment).get(Kind.CHARGED)


def _text(event: PrivacyEvent) -> str:
    return canonical_json(event.to_json()).decode()


def _check_public(assignment: Assignment, like: Tensors, public: Public) -> None:
    if type(public) is not Public or assignment.phase not in FREE:
        raise GateClosed("only a public value may leave without a price, in its own phase")
    try:
        check_like(public.tensors, like)
    except TensorError as error:
        raise GateClosed("the value has another shape than its phase allows") from error


def _check_priced(permit: Permit, priced: Priced) -> None:
    if type(priced) is not Priced:
        raise GateClosed("only a priced value may leave")
    if priced.events != (permit.event,):
        raise GateClosed("the value cost something else than what was charged for it")
    charged = (permit.charge.kind, permit.charge.assignment, permit.charge.event)
    if charged != (Kind.CHARGED, permit.assignment.assignment, _text(permit.event)):
        raise GateClosed("the charge belongs to another assignment or event")
    try:
        check_like(priced.tensors, permit.like)
    except TensorError as error:
        raise GateClosed("the value has another shape than its phase allows") from error
    if not norm(priced.tensors) <= permit.largest_norm:
        raise GateClosed("the value is larger than clipped gradients and noise can make it")
