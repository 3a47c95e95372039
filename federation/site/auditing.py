"""The free phases of an empirical audit at a site, and its canaries among the training rows.

Coins are committed to before round 1 and revealed after the last one, whichever that turns out to
be: a site that has revealed its coins trains no more in that study. Neither reads a row. An
institution that wants no canaries says so in its own site.toml.
"""

from dataclasses import replace

import structlog

from federation.protocol.audit import COMMIT, Coins, Public, committed, revealed
from federation.protocol.document import Protocol
from federation.protocol.messages import Assignment, Reason
from federation.site.coins import CoinBox, CoinsLost
from federation.site.config import Limits
from federation.site.datasets import Split
from federation.site.entry_points import CANARIES_JOINED, load
from federation.site.refused import Refused

TRAIN = "train"

log = structlog.get_logger()


class Auditing:
    """Draws, commits to and reveals this site's coins, and puts its canaries among the rows."""

    def __init__(self, box: CoinBox, limits: Limits) -> None:
        self._box = box
        self._limits = limits

    def answer(self, assignment: Assignment, protocol: Protocol) -> Public:
        """What leaves in a free phase.

        Raises Refused: the protocol has no audit, or not in this round; the site wants none; or
        there are no coins to reveal.
        """
        if protocol.audit is None or assignment.round not in _rounds_of(assignment.phase, protocol):
            raise Refused(Reason.NOT_APPROVED, "the protocol has no such phase in this round")
        if self._limits.audits == "never":
            raise Refused(Reason.LIMIT_AUDITS, "limits.audits is never; this study has canaries")
        where = (assignment.study, assignment.protocol_digest)
        try:
            if assignment.phase == COMMIT:
                return committed(self._box.draw(*where, protocol.audit.canaries))
            coins = self._box.find(*where)
        except CoinsLost as error:
            raise Refused(Reason.LOCAL_FAILURE, str(error)) from error
        if coins is None:
            raise Refused(Reason.LOCAL_FAILURE, "no coins were ever drawn here for this study")
        return revealed(coins)

    def joined(self, data: Split, assignment: Assignment, protocol: Protocol) -> Split:
        """The rows, and in training the canaries that are in; the hold-out is never touched."""
        if protocol.audit is None or assignment.phase != TRAIN or self._limits.audits == "never":
            return data
        coins = self._coins(assignment)
        if coins is None:
            return data
        return replace(data, train=load(CANARIES_JOINED)(data.train, protocol, coins.values))

    def _coins(self, assignment: Assignment) -> Coins | None:
        """The coins, None where the site never committed: it is then not audited, which is told."""
        try:
            return self._box.find(assignment.study, assignment.protocol_digest)
        except CoinsLost as error:
            log.error("canaries_left_out", study=assignment.study, why=str(error))
            return None


def check_secret(assignment: Assignment, revealed: bool) -> None:
    """Raise Refused for training after this site revealed the study's coins.

    Known coins audit nothing, and an end that trains on is none.
    """
    if revealed and assignment.phase == TRAIN:
        raise Refused(
            Reason.NOT_APPROVED,
            "the coins of this study's audit are revealed: its training is over",
        )


def _rounds_of(phase: str, protocol: Protocol) -> range:
    return range(1, 2) if phase == COMMIT else range(1, protocol.rounds.count + 1)
