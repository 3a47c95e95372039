"""A number together with its price: the only kind of value that the egress gate lets out."""

from dataclasses import dataclass, field

from accounting.dp.events import PrivacyEvent
from federation.protocol.tensors import Tensors


@dataclass(frozen=True)
class Priced:
    """What a mechanism released, and the events that it cost.

    Raises:
        ValueError: no tensor, or no event: nothing that read private rows is free.
        TypeError: something else than a PrivacyEvent stands in `events`.
    """

    tensors: Tensors
    events: tuple[PrivacyEvent, ...]

    def __post_init__(self) -> None:
        """Refuse values without a price."""
        if not self.tensors or not self.events:
            raise ValueError("a priced value needs at least one tensor and one privacy event")
        if not isinstance(self.events, tuple) or not all(
            isinstance(event, PrivacyEvent) for event in self.events
        ):
            raise TypeError("events must be a tuple of PrivacyEvent")


@dataclass(frozen=True)
class Made:
    """What a site computed: the part that may leave, and what stays there for its next rounds.

    Both are noised by one mechanism; `priced` says what it cost, whichever part of it leaves.
    """

    priced: Priced
    kept: Tensors = field(default_factory=dict)
