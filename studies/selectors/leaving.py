"""What leaves a site under a protocol, in counts that the protocol alone decides."""

from dataclasses import dataclass

from federation.protocol.document import Protocol


@dataclass(frozen=True)
class Leaving:
    """Everything one site releases over a whole study."""

    updates: int
    histograms: int
    least_noise: float | None
    most_noise: float | None
    masked: bool = False  # the plain round sends each site's noised update by itself

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
    )
