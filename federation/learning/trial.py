"""One private step on made-up rows: whether a protocol's settings can train, before any charge."""

import torch

from federation.learning import engines, grades, losses
from federation.learning.faults import Untrainable
from federation.learning.grades import Chunk
from federation.learning.initial import initial_tensors
from federation.learning.layout import Layout
from federation.learning.modules import load
from federation.learning.optimisers import Optimiser, flattened
from federation.protocol.contract import outputs, width
from federation.protocol.document import NumberTarget, Protocol

_ROWS = 2


def check(protocol: Protocol, noise_multiplier: float, batch_denominator: float) -> None:
    """Make one step of the protocol's first model on rows of zeros, as a site would, on the CPU.

    Nothing here was read from anybody's rows. Raises Untrainable.
    """
    try:
        weights = _stepped(protocol, noise_multiplier, batch_denominator)
    except (ValueError, RuntimeError) as error:
        raise Untrainable(f"these settings cannot train this model: {error}") from error
    if not weights.isfinite().all():
        raise Untrainable(
            "one step of these settings takes the weights past what float32 holds; lower "
            "training.learning_rate or training.max_grad_norm"
        )


def _stepped(protocol: Protocol, noise_multiplier: float, batch_denominator: float) -> torch.Tensor:
    training = protocol.training
    module = load(protocol, initial_tensors(protocol))
    flat = flattened(module)
    rows = torch.zeros(_ROWS, width(protocol.data))
    engine = engines.chosen(training.engine, module, rows)
    gradients = engine.gradients(module, losses.of(protocol), rows)
    total = grades.get(training.noise).sum(gradients, len(flat), training.max_grad_norm)
    grouped = torch.arange(_ROWS) if protocol.data.unit == "patient" else None
    total.add(Chunk(rows, _targets(protocol), Layout(grouped, _ROWS)))
    noised = total.release(noise_multiplier, batch_denominator)
    Optimiser(flat, training).step(noised)
    return flat


def _targets(protocol: Protocol) -> torch.Tensor:
    if isinstance(protocol.data.target, NumberTarget):
        return torch.zeros(_ROWS, outputs(protocol.data))
    return torch.zeros(_ROWS, dtype=torch.int64)
