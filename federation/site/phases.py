"""What a site can be asked for: one row per phase, with the mechanism that answers it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from accounting.dp.events import PrivacyEvent
from federation.protocol import histograms
from federation.protocol.document import Protocol
from federation.protocol.priced import Made, Priced
from federation.protocol.tensors import Tensors
from federation.site.bounds import Public, largest_histogram, largest_update
from federation.site.datasets import Split
from federation.site.entry_points import HISTOGRAM, ROUND_EVENTS, TRAIN, load

TRAINING = "train"


@dataclass(frozen=True)
class Work:
    """All that a phase computes from; `stop_asked` raises when the work is to be abandoned.

    `tensors` is the whole model, this site's own layers included. `correction` is what the
    strategy adds to a round's steps, named as the shared layers; empty where it adds nothing.
    """

    protocol: Protocol
    tensors: Tensors
    data: Split
    event: PrivacyEvent
    chunk_bytes: int
    step_done: Callable[[int], None]
    stop_asked: Callable[[], bool]
    correction: Tensors = field(default_factory=dict)
    device: str = "auto"


@dataclass(frozen=True)
class Phase:
    """`entry` computes, given `arguments`; its result must be shaped as `result` says.

    `largest_norm` bounds it, and is given nothing of what `arguments` is.
    """

    entry: str
    arguments: Callable[[Work], Mapping[str, Any]]
    result: Callable[[Protocol, Tensors], Tensors]
    largest_norm: Callable[[Public], float]

    def run(self, work: Work) -> Made:
        """Compute. The value comes together with the events that it cost, and what stays here."""
        made: Priced | Made = load(self.entry)(
            protocol=work.protocol,
            tensors=work.tensors,
            noise_multiplier=work.event.noise_multiplier,
            **self.arguments(work),
        )
        return made if isinstance(made, Made) else Made(made)


def _training(work: Work) -> Mapping[str, Any]:
    return {
        "data": work.data.train,
        "batch_denominator": work.event.batch_denominator,
        "chunk_bytes": work.chunk_bytes,
        "step_done": work.step_done,
        "cancelled": work.stop_asked,
        "correction": work.correction,
        "device": work.device,
    }


def _evaluation(work: Work) -> Mapping[str, Any]:
    return {
        "data": work.data.holdout,
        "chunk_bytes": work.chunk_bytes,
        "device": work.device,
    }


def _update(protocol: Protocol, model: Tensors) -> Tensors:
    return model


def _histogram(protocol: Protocol, model: Tensors) -> Tensors:
    return histograms.empty(protocol)


PHASES: Mapping[str, Phase] = {
    TRAINING: Phase(TRAIN, _training, _update, largest_update),
    "evaluate": Phase(HISTOGRAM, _evaluation, _histogram, largest_histogram),
}


def price(
    protocol: Protocol, number: int, phase: str, site: str, noise: float | None = None
) -> PrivacyEvent:
    """What one site pays for `phase` of round `number`, by the protocol alone.

    `noise` is what the hub chose, where the protocol lets it choose.

    Raises KeyError when the protocol, or this worker, has no such phase in that round, or when
    the protocol has no sealed plan; ValueError for a noise that may not be chosen.
    """
    if phase not in PHASES or protocol.plan is None:
        raise KeyError(phase)
    event: PrivacyEvent = load(ROUND_EVENTS)(protocol, number, site, noise)[phase]
    return event
