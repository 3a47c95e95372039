"""The phases of a round as a table: which model each gives out, what answers it, what it needs.

The engine (services/opening, services/advancing) knows phases, not kinds of rounds: a phase is a
set of signed assignments with one deadline, each answered at most once.

| phase    | opened by                      | answered by                    | closed when |
|----------|--------------------------------|--------------------------------|-------------|
| commit   | round 1 of an audited study    | 32 bytes that bind the coins   | all settled |
| train    | the round itself               | an update, shaped as the model | all settled |
| evaluate | train, if the protocol says so | a histogram of scores          | all settled |
| reveal   | the end of an audited study    | the coins and their salt       | all settled |

Settled: answered, refused, unused, or lost at the deadline. Commit and reveal read no row: they
are free, and the ledger says nothing of their keys.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from federation.protocol import histograms
from federation.protocol.audit import COMMIT as COMMIT_NAME
from federation.protocol.audit import FREE, shape
from federation.protocol.audit import REVEAL as REVEAL_NAME
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors


@dataclass(frozen=True)
class Phase:
    """One row of the table.

    `gives` names the digest of the checkpoint that sites get; `checkpoint` is that checkpoint's
    number, counted from the round's. Only a `decisive` phase fails its round when fewer than
    the quorum answer: a model without site metrics is still a model.
    """

    name: str
    gives: Literal["digest", "reported_digest"]
    checkpoint: int
    decisive: bool
    wanted: Callable[[Protocol, int], bool]
    answer: Callable[[Protocol, Tensors], Tensors]

    @property
    def priced(self) -> bool:
        """Whether an answer costs privacy, and so is reserved and charged."""
        return self.name not in FREE


def _histogram(protocol: Protocol, model: Tensors) -> Tensors:
    return histograms.empty(protocol)


TRAIN = Phase("train", "digest", -1, True, lambda protocol, number: True, lambda p, model: model)
EVALUATE = Phase("evaluate", "reported_digest", 0, False, Protocol.evaluates, _histogram)
COMMIT = Phase(
    COMMIT_NAME,
    "digest",
    -1,
    False,
    lambda protocol, number: protocol.audit is not None and number == 1,
    lambda protocol, model: shape(COMMIT_NAME, protocol.canaries),
)
REVEAL = Phase(
    REVEAL_NAME,
    "digest",
    0,
    False,
    lambda protocol, number: protocol.audit is not None and number == protocol.rounds.count,
    lambda protocol, model: shape(REVEAL_NAME, protocol.canaries),
)
PHASES = (COMMIT, TRAIN, EVALUATE, REVEAL)


def phases_of(protocol: Protocol, number: int) -> tuple[Phase, ...]:
    """The phases of round `number` (from 1), in order."""
    return tuple(phase for phase in PHASES if phase.wanted(protocol, number))


def phase(name: str) -> Phase:
    """The phase of that name; KeyError when there is none."""
    return {row.name: row for row in PHASES}[name]


def following(protocol: Protocol, number: int, name: str) -> Phase | None:
    """The phase after `name` in round `number`, None after the last one."""
    names = phases_of(protocol, number)
    index = [row.name for row in names].index(name) + 1
    return names[index] if index < len(names) else None
