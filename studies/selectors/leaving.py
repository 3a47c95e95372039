"""What leaves a site under a protocol, in counts that the protocol alone decides."""

from dataclasses import dataclass

from federation.protocol.document import Protocol

MOST_CROWDING = 0.05


@dataclass(frozen=True)
class Leaving:
    """Everything one site releases over a whole study."""

    updates: int
    histograms: int
    least_noise: float | None
    most_noise: float | None
    masked: bool = False  # the plain round sends each site's noised update by itself
    canaries: int = 0  # synthetic rows that may train beside the site's own, about half of them do
    crowding: float = 0.0  # these, as a share of the smallest declared cohort

    @property
    def crowding_percent(self) -> float:
        """`crowding` for people, to one place."""
        return round(100 * self.crowding, 1)

    @property
    def crowded(self) -> bool:
        """Whether the canaries may be expected to cost utility."""
        return self.crowding > MOST_CROWDING

    @property
    def releases(self) -> int:
        """Noised results that leave, one after the other."""
        return self.updates + self.histograms


def leaving(protocol: Protocol) -> Leaving:
    """What each site of the cohort releases if every round runs once."""
    count = protocol.rounds.count
    noise = protocol.plan.noise_multipliers if protocol.plan else []
    return Leaving(
        updates=count,
        histograms=sum(protocol.evaluates(number) for number in range(1, count + 1)),
        least_noise=min(noise, default=None),
        most_noise=max(noise, default=None),
        canaries=protocol.canaries,
        crowding=_crowding(protocol),
    )


def _crowding(protocol: Protocol) -> float:
    smallest = min((member.cohort_size for member in protocol.cohort), default=0)
    return protocol.canaries / 2 / smallest if smallest else 0.0
