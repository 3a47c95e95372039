"""Which protocol a study runs under: the one that this institution approved last."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import structlog

from accounting.dp.events import PrivacyEvent
from federation.protocol.document import Protocol
from federation.protocol.machines import own
from federation.protocol.messages import (
    ApprovedProtocol,
    Assignment,
    MessageError,
    Reason,
    moment,
    open_envelope,
)
from federation.site.entry_points import PLAN_EVENTS, load
from federation.site.refused import Refused
from federation.site.store import write_durably
from federation.site.transport.receiving import Receiving

log = structlog.get_logger()


@dataclass(frozen=True)
class Approval:
    """The hub's signed statement as it came, what it says, and the protocol that it carries."""

    envelope: bytes
    statement: ApprovedProtocol

    @cached_property
    def protocol(self) -> Protocol:
        """The document, checked against its digest, as it holds here: for our class of machine.

        Raises MessageError.
        """
        return own(self.statement.protocol, self.statement.institution)

    @cached_property
    def plan(self) -> tuple[PrivacyEvent, ...]:
        """The events of all rounds; computed once, for a plan may have a thousand."""
        events: tuple[PrivacyEvent, ...] = load(PLAN_EVENTS)(self.protocol)
        return events

    def newer_than(self, other: "Approval | None") -> bool:
        """Whether this was approved after `other`."""
        mine = moment(self.statement.approved_at)
        return other is None or mine > moment(other.statement.approved_at)


class Approvals:
    """Approvals kept in `folder`, one file for each study and digest; fetched when not known."""

    def __init__(self, folder: Path, hub_key: str, site: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._hub_key = hub_key
        self._site = site
        self._current: dict[str, Approval] = {}
        for approval in self._stored():
            self._keep(approval)

    def known(self) -> tuple[Approval, ...]:
        """The newest approval of every study."""
        return tuple(self._current.values())

    def under(self, assignment: Assignment, receiving: Receiving) -> Approval:
        """The approval that covers `assignment`.

        Raises:
            Refused: the hub does not know the protocol, or it is not the one approved last.
        """
        current = self._current.get(assignment.study)
        if current and current.statement.protocol_digest == assignment.protocol_digest:
            return current
        approval = self._fetched(assignment, receiving)
        if not approval.newer_than(current):
            raise Refused(
                Reason.NOT_APPROVED, "a newer protocol of this study was approved meanwhile"
            )
        path = self._folder / f"{assignment.study}.{assignment.protocol_digest}.json"
        write_durably(path, approval.envelope)
        self._keep(approval)
        return approval

    def _fetched(self, assignment: Assignment, receiving: Receiving) -> Approval:
        envelope = receiving.protocol(assignment.protocol_digest, assignment.study)
        if envelope is None:
            raise Refused(Reason.UNKNOWN_PROTOCOL, "the hub knows no approval of this protocol")
        try:
            approval = self._opened(envelope)
        except MessageError as error:
            raise Refused(Reason.UNKNOWN_PROTOCOL, str(error)) from error
        asked = (assignment.study, assignment.protocol_digest, self._site)
        statement = approval.statement
        if (statement.study, statement.protocol_digest, statement.institution) != asked:
            raise Refused(
                Reason.NOT_APPROVED, "the approval is for another study, protocol or institution"
            )
        return approval

    def _opened(self, envelope: bytes) -> Approval:
        approval = Approval(envelope, open_envelope(envelope, self._hub_key, ApprovedProtocol))
        protocol = approval.protocol
        if self._site not in {member.institution for member in protocol.cohort}:
            raise Refused(Reason.NOT_APPROVED, "the protocol does not name this institution")
        return approval

    def _stored(self) -> list[Approval]:
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append(self._opened(path.read_bytes()))
            except (MessageError, Refused):
                # It is fetched again when an assignment needs it, and then checked again.
                log.warning("approval_ignored", file=path.name, why="damaged, or of another hub")
        return found

    def _keep(self, approval: Approval) -> None:
        study = approval.statement.study
        if approval.newer_than(self._current.get(study)):
            self._current[study] = approval
