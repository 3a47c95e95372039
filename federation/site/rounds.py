"""One assignment from envelope to answer: checked, charged, computed, brought to the gate.

Every step may be cut off by kill -9 and the whole may run twice; docs/adr/0002-site-retry.md
says why that releases one result for one charge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from accounting.dp.events import PrivacyEvent
from federation.protocol.audit import FREE, REVEAL, shape
from federation.protocol.canonical import digest
from federation.protocol.contract import ContractError
from federation.protocol.document import Protocol
from federation.protocol.messages import (
    ApprovedProtocol,
    Assignment,
    MessageError,
    Reason,
    moment,
    open_envelope,
)
from federation.site.approvals import Approval, Approvals
from federation.site.auditing import Auditing, check_secret
from federation.site.bounds import Public
from federation.site.config import Dataset, SiteConfig
from federation.site.datasets import NOBODY, Datasets, Split
from federation.site.egress import Gate, Permit
from federation.site.journal import Entry, Journal, JournalFull, Kind, Slot
from federation.site.kept import Kept
from federation.site.limits import Asked, Request, check_limits, check_standing
from federation.site.machine import check_device, check_machine
from federation.site.orders import Orders
from federation.site.outbox import Outbox
from federation.site.phases import PHASES, TRAINING, Phase, Work, price
from federation.site.pin import Pin
from federation.site.pulse import Abandoned, Pulse
from federation.site.refused import Refused
from federation.site.rowstore import RowsUnwritable
from federation.site.starting import Start, Starting
from federation.site.transport.receiving import Receiving
from federation.site.witness import ADVICE, LedgerForked, Witness

CLOCK_TOLERANCE = timedelta(seconds=5)  # a time server may set a clock back a little

log = structlog.get_logger()


@dataclass(frozen=True)
class Parts:
    """What the executor works with."""

    config: SiteConfig
    pin: Pin
    journal: Journal
    orders: Orders
    witness: Witness
    outbox: Outbox
    approvals: Approvals
    datasets: Datasets
    auditing: Auditing
    kept: Kept
    receiving: Receiving
    gate: Gate
    clock: Callable[[], datetime]
    stopping: Callable[[], bool]


@dataclass(frozen=True)
class Job:
    """A checked assignment, ready to be charged and computed."""

    assignment: Assignment
    slot: Slot
    protocol: Protocol
    dataset: Dataset
    phase: Phase
    request: Request
    start: Start


class Executor:
    """Answers assignments, one at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._starting = Starting(parts.receiving, parts.kept)

    def handle(self, envelope: bytes, ledger: str = "") -> bool:
        """Answer one assignment; False when it stays unanswered and will come again.

        `ledger` is the checkpoint that came with it; where none did, the hub is asked for it.
        Raises the errors of `Client.request` when the hub is away in the middle.
        """
        try:
            assignment = open_envelope(envelope, self._parts.pin.hub_key, Assignment)
        except MessageError as error:
            # Nothing in it can be trusted, so nothing in it is answered, not even its id.
            log.error("assignment_ignored", why=str(error), advice="is this our hub? run check")
            return False
        slot = _slot(assignment, envelope)
        try:
            self._check_addressee(assignment)
            self._check_ledger(ledger)
            return self._answer(assignment, slot)
        except Refused as refused:
            return self._decline(assignment, slot, refused)
        except Abandoned:
            log.info("round_abandoned", study=assignment.study, round=assignment.round)
            return False

    def give_up(self, envelope: bytes) -> bool:
        """Decline after a failure of our own; its text stays here."""
        assignment = open_envelope(envelope, self._parts.pin.hub_key, Assignment)
        slot = _slot(assignment, envelope)
        refused = Refused(Reason.LOCAL_FAILURE, "see the failure above")
        return self._decline(assignment, slot, refused)

    def _decline(self, assignment: Assignment, slot: Slot, refused: Refused) -> bool:
        log.warning(
            "assignment_refused",
            study=assignment.study,
            round=assignment.round,
            phase=assignment.phase,
            reason=str(refused.reason),
            why=refused.local,
        )
        return self._parts.gate.refuse(assignment, slot, refused)

    def _answer(self, assignment: Assignment, slot: Slot) -> bool:
        parts = self._parts
        self._check_fresh(slot)
        parcel = parts.outbox.find(assignment.assignment)
        if parcel is not None:
            return parts.gate.resend(assignment, slot, parcel)
        self._check_time(assignment)
        self._check_unanswered(assignment)
        if assignment.phase in FREE:
            return self._published(assignment, slot)
        job = self._prepared(assignment, slot)
        return self._computed(job)

    def _check_addressee(self, assignment: Assignment) -> None:
        if assignment.addressee != self._parts.pin.institution:
            raise Refused(Reason.NOT_ADDRESSED, "the assignment is addressed to another site")

    def _check_ledger(self, shown: str) -> None:
        """The hub's ledger continues what was seen of it, and that is on disk; else refused."""
        witness = self._parts.witness
        known = witness.blocked
        try:
            if not shown and not known:
                shown = self._parts.receiving.ledger(witness.size) or ""
            witness.look(shown)
        except LedgerForked as error:
            if not known:
                log.error("ledger_forked", why=str(error), advice=ADVICE)
            raise Refused(Reason.LEDGER_FORKED, str(error)) from error
        except JournalFull as error:
            raise Refused(_full(witness), str(error)) from error

    def _check_fresh(self, slot: Slot) -> None:
        """One (study, round, attempt, phase) belongs to one message, byte for byte."""
        journal = self._parts.journal
        charge = journal.charge_of(slot)
        known = [*journal.about(slot.assignment).values(), *([charge] if charge else [])]
        if any(_slot_of(entry) != slot for entry in known):
            raise Refused(Reason.REPLAYED, "this round was asked for before, by another message")

    def _check_time(self, assignment: Assignment) -> None:
        now, latest = self._parts.clock(), self._parts.journal.latest
        if latest is not None and now < latest - CLOCK_TOLERANCE:
            raise Refused(
                Reason.CLOCK, "the clock shows less than the journal's last entry; set it (NTP)"
            )
        if now >= moment(assignment.expires_at):
            raise Refused(Reason.EXPIRED, "the assignment came after its time")

    def _check_unanswered(self, assignment: Assignment) -> None:
        """The journal says that it was answered, but the answer is not in the outbox."""
        entries = self._parts.journal.about(assignment.assignment)
        if Kind.REFUSED in entries:
            raise Refused(Reason(entries[Kind.REFUSED].reason), "refused before")
        if Kind.RELEASED in entries:
            raise Refused(
                Reason.LOCAL_FAILURE, "this was released once and its bytes are gone from outbox/"
            )

    def _published(self, assignment: Assignment, slot: Slot) -> bool:
        """A phase that reads no row: no charge, and the gate knows its form to the byte."""
        parts = self._parts
        approval = parts.approvals.under(assignment, parts.receiving)
        _lent(parts.config, approval.statement)
        check_standing(parts.config.limits, Asked(approval.protocol, assignment.protocol_digest))
        public = parts.auditing.answer(assignment, approval.protocol)
        like = shape(assignment.phase, approval.protocol.canaries)
        return parts.gate.publish(assignment, slot, like, public)

    def _prepared(self, assignment: Assignment, slot: Slot) -> Job:
        parts = self._parts
        check_secret(assignment, bool(parts.journal.released(assignment.study, REVEAL)))
        approval = parts.approvals.under(assignment, parts.receiving)
        protocol = approval.protocol
        check_machine(parts.config.machine, protocol, parts.pin.institution)
        check_device(parts.config.machine)
        dataset = _lent(parts.config, approval.statement)
        request = self._request(assignment, slot, approval, dataset)
        check_limits(parts.config.limits, request)
        start = self._starting.of(assignment, protocol, request.event)
        phase = PHASES[assignment.phase]
        return Job(assignment, slot, protocol, dataset, phase, request, start)

    def _request(
        self, assignment: Assignment, slot: Slot, approval: Approval, dataset: Dataset
    ) -> Request:
        protocol = approval.protocol
        if assignment.round > protocol.rounds.count:
            raise Refused(Reason.LIMIT_ROUNDS, "the protocol has no round of that number")
        try:
            event = price(
                protocol,
                assignment.round,
                assignment.phase,
                self._parts.pin.institution,
                _chosen(assignment, protocol),
            )
        except ValueError as error:
            raise Refused(Reason.LIMIT_NOISE, str(error)) from error
        except KeyError as error:
            raise Refused(
                Reason.NOT_APPROVED, "the protocol has no such phase in this round, or no plan"
            ) from error
        journal = self._parts.journal
        own = journal.charge_of(slot)
        return Request(
            protocol=protocol,
            plan=approval.plan,
            protocol_digest=assignment.protocol_digest,
            dataset=dataset,
            event=event,
            of_study=journal.charged_events(study=assignment.study, but=own),
            of_lineage=journal.charged_events(lineage=dataset.root, but=own),
            fixed_order=self._parts.orders.of(dataset.root),
        )

    def _computed(self, job: Job) -> bool:
        # Before any row is read: what the gate compares the value with knows none of them.
        permit = self._permit(job, self._charged(job))
        parts, uid = self._parts, job.assignment.assignment
        steps = job.request.event.steps
        with Pulse(lambda step: parts.gate.progress(uid, step, steps), parts.stopping) as pulse:
            data = self._read(job, pulse)
            work = Work(
                job.protocol,
                job.start.model,
                data,
                job.request.event,
                parts.config.machine.chunk_bytes,
                pulse.step_done,
                pulse.asked,
                job.start.correction,
                parts.config.machine.device,
            )
            made = job.phase.run(work)
        pulse.check_wanted()
        parts.kept.keep(job.assignment, made.kept, made.priced.tensors)
        return parts.gate.release(permit, made.priced)

    def _permit(self, job: Job, charge: Entry) -> Permit:
        start, event = job.start, job.request.event
        declared = job.protocol.member(self._parts.pin.institution).cohort_size
        public = Public(job.protocol, start.shared, event, start.correction, declared)
        like, largest = job.phase.result(job.protocol, start.shared), job.phase.largest_norm(public)
        return Permit(job.assignment, job.slot, charge, event, like, largest)

    def _read(self, job: Job, pulse: Pulse) -> Split:
        """The rows, with an audit's canaries; a fault is told by its kind."""
        parts = self._parts
        try:
            data = parts.datasets.read(job.dataset, job.protocol, pulse.asked)
        except ContractError as error:
            raise Refused(Reason.DATA_MISMATCH, str(error)) from error
        except RowsUnwritable as error:
            raise Refused(Reason.LOCAL_FAILURE, str(error)) from error
        if not (data.train if job.assignment.phase == TRAINING else data.holdout).n_units:
            # The answer is noise, as it is priced; the hub must not learn that nobody is in it.
            log.warning("nobody_in_the_round", study=job.assignment.study, why=NOBODY)
        return parts.auditing.joined(data, job.assignment, job.protocol)

    def _charged(self, job: Job) -> Entry:
        """The charge, on disk. One that a crash left behind still pays: nothing has left for it."""
        journal = self._parts.journal
        found = journal.charge_of(job.slot)
        if found is not None:
            return found
        now = self._parts.clock()
        try:
            self._parts.orders.fix(job.dataset.root, job.request.lifetime_order, now)
            return journal.append(
                Kind.CHARGED,
                job.slot,
                at=now,
                lineage=job.dataset.root,
                protocol_digest=job.assignment.protocol_digest,
                event=job.request.event,
            )
        except JournalFull as error:
            raise Refused(Reason.JOURNAL_FULL, str(error)) from error


def _full(witness: Witness) -> Reason:
    """A full disk, unless what could not be written was the evidence of something worse."""
    return Reason.LEDGER_FORKED if witness.blocked else Reason.JOURNAL_FULL


def _slot(assignment: Assignment, envelope: bytes) -> Slot:
    return Slot(
        assignment.study,
        assignment.round,
        assignment.attempt,
        assignment.phase,
        assignment.assignment,
        digest(envelope),
    )


def _slot_of(entry: Entry) -> Slot:
    return Slot(
        entry.study,
        entry.round,
        entry.attempt,
        entry.phase,
        entry.assignment,
        entry.message_digest,
    )


def _chosen(assignment: Assignment, protocol: Protocol) -> float | None:
    """The noise that the hub chose for a round of an adaptive study; else the plan says it."""
    if protocol.privacy.adaptive is None or assignment.phase != TRAINING:
        return None
    return PrivacyEvent.from_json(assignment.parameters.get("event", {})).noise_multiplier


def _lent(config: SiteConfig, approved: ApprovedProtocol) -> Dataset:
    """The dataset that was approved, counted under the lineage that was approved; else Refused."""
    dataset = config.lent(approved.dataset)
    if dataset is None:
        raise Refused(
            Reason.DATA_MISMATCH,
            f"site.toml lends no dataset {approved.dataset!r}, which was approved",
        )
    if dataset.root != approved.lineage:
        raise Refused(
            Reason.NOT_APPROVED,
            f"site.toml now counts dataset {dataset.name!r} as lineage {dataset.root!r}, but "
            f"{approved.lineage!r} was approved: hub and site would charge different budgets; "
            "change it back",
        )
    return dataset
