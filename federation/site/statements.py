"""When the site tells the hub what its journal holds: soon, in batches, never in a round's way."""

import math
import time

import structlog

from federation.protocol.messages import MessageError
from federation.site.egress import Gate
from federation.site.journal import Journal, JournalFull
from federation.site.transport.client import AccessRefused, HubAbsent, RequestRejected
from federation.site.transport.receiving import WAIT_SECONDS, Receiving
from federation.site.witness import ADVICE, LedgerForked, Witness

GATHER_SECONDS = 5.0  # rounds may follow each other within milliseconds: gather, then tell
ABSENT_SECONDS, REFUSED_SECONDS = 10.0, 60.0
BATCH = 200  # entries
BATCHES = 5  # in a row; then the hub may have work for us

log = structlog.get_logger()


class Statements:
    """Tells new entries of the journal through the gate; a failure is tried again later.

    `told` is where the hub's copy ends; None before the hub has said so.
    """

    def __init__(
        self, gate: Gate, receiving: Receiving, journal: Journal, witness: Witness
    ) -> None:
        self._gate = gate
        self._receiving = receiving
        self._journal = journal
        self._witness = witness
        self.told: int | None = None
        self._due: float | None = None
        self._said = ""

    @property
    def waiting(self) -> bool:
        """Whether the hub lacks an entry, as far as is known."""
        return self.told is None or self.told < self._journal.head[0]

    def arrived(self) -> None:
        """At the first contact, and after each absence: tell at once, also that there is nothing.

        The hub then learns early of a journal that is not the one it knows.
        """
        self.told = None
        self._due = None
        self.tell()

    def between(self) -> int:
        """Before a poll: tell what is due; how many seconds the poll may wait."""
        if not self.waiting:
            return WAIT_SECONDS
        now = time.monotonic()
        self._due = self._due or now + GATHER_SECONDS
        if now < self._due:
            return min(WAIT_SECONDS, math.ceil(self._due - now))
        self._due = None
        self.tell(look=True)
        return 0 if self.waiting and self._due is None else WAIT_SECONDS

    def tell(self, *, look: bool = False) -> None:
        """Send what the hub lacks, in a few batches; never raises for a hub that does not listen.

        `look` first at the hub's ledger: what it wrote since the last assignment is witnessed, too.
        Raises JournalFull or JournalBroken when our own file cannot be read.
        """
        try:
            if look and not self._witness.blocked:
                self._look()
            for _ in range(BATCHES):
                before = self.told
                self.told = self._gate.state(self.told, self._witness, most=BATCH)
                if not self.waiting or self.told == before:
                    break
        except HubAbsent:
            self._later(ABSENT_SECONDS)
        except (AccessRefused, RequestRejected, MessageError) as error:
            self._refused(str(error))
        else:
            self._said = ""

    def _look(self) -> None:
        """Judge the ledger's head; what is wrong with it, the next assignment is refused for."""
        shown = self._receiving.ledger(self._witness.size)
        try:
            if shown:
                self._witness.look(shown)
        except LedgerForked as error:
            log.error("ledger_forked", why=str(error), advice=ADVICE)
        except JournalFull as error:
            log.error("journal_full", entry="checkpoint", why=str(error))

    def _refused(self, why: str) -> None:
        """One line for each reason: it may last until a person has looked."""
        self._later(REFUSED_SECONDS)
        if why != self._said:
            log.error("journal_not_taken", why=why, advice="see Journals on the hub's pages")
            self._said = why

    def _later(self, seconds: float) -> None:
        self._due = time.monotonic() + seconds
