"""What a ledger row is about: one mechanism of one phase of a round at one site, and its limits."""

from dataclasses import dataclass
from typing import Any

from accounting.dp.events import PrivacyEvent


@dataclass(frozen=True)
class Limit:
    """A budget: ε at δ."""

    epsilon: float
    delta: float


@dataclass(frozen=True)
class Key:
    """Identifies one reservation for good; slugs, not row numbers. `round` counts from 1."""

    study: str
    institution: str
    lineage: str
    round: int
    attempt: int
    phase: str

    def idempotency(self, kind: str) -> str:
        """The unique text under which a row of `kind` for this key may stand once."""
        place = f"{self.study}/{self.institution}/{self.round}.{self.attempt}"
        return f"{place}/{self.phase}/{kind}"

    @property
    def place(self) -> tuple[str, str, int, int, str]:
        """Everything but the lineage, which follows from it."""
        return self.study, self.institution, self.round, self.attempt, self.phase

    def __str__(self) -> str:
        number = f"{self.round}.{self.attempt}"
        return f"{self.phase} of round {number} of {self.study} at {self.institution}"


@dataclass(frozen=True)
class Reservation:
    """A request to spend `event` under the protocol `protocol_digest`, within `study_limit`."""

    key: Key
    event: PrivacyEvent
    protocol_digest: str
    study_limit: Limit


@dataclass(frozen=True)
class Move:
    """A further row about a key that was reserved; `facts` go into its body."""

    key: Key
    kind: str
    facts: dict[str, Any]
