"""Private training at a site: DP-SGD on Poisson samples of privacy units, with its price.

The number of steps, the sampling rate, the clip and the denominator are constants of the
protocol. Nothing here is derived from how many rows or units the site has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from opacus import GradSampleModule
from torch import nn
from torch.nn import functional

from accounting.dp.events import Mechanism, PrivacyEvent
from federation.learning.clipping import UnitOptimizer
from federation.learning.modules import load, weights
from federation.learning.noise import Keystream, gaussian
from federation.learning.sampler import poisson
from federation.learning.units import UnitRows
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol, Training
from federation.protocol.priced import Priced
from federation.protocol.tensors import Tensors

_CHUNK_BYTES = 32 << 20  # of float64 per-row gradients held at a time
_CHUNK_ROWS = 8192


class Cancelled(Exception):
    """Training was stopped between steps; what was charged stays charged."""


def never() -> bool:
    """The default of `cancelled`: nobody stops this training."""
    return False


def train(
    *,
    protocol: Protocol,
    tensors: Tensors,
    data: Encoded,
    noise_multiplier: float,
    batch_denominator: float,
    step_done: Callable[[int], None],
    cancelled: Callable[[], bool] = never,
) -> Priced:
    """Exactly `local_steps` private steps; the update (new − old) and the event it cost.

    A sample without any unit still makes a step, with noise, and is charged. `step_done(k)` is
    called after each step, k from 1.

    Raises:
        Cancelled: `cancelled()` was true before a step.
        ValueError: the tensors do not belong to the protocol's model, or a number is not positive.
    """
    training = protocol.training
    event = PrivacyEvent(
        Mechanism.POISSON_GAUSSIAN,
        noise_multiplier=noise_multiplier,
        sample_rate=training.sample_rate,
        steps=training.local_steps,
        max_grad_norm=training.max_grad_norm,
        batch_denominator=batch_denominator,
        unit=protocol.data.unit,
    )
    session = prepare(protocol, tensors, data, noise_multiplier, batch_denominator)
    for number in range(1, training.local_steps + 1):
        if cancelled():
            raise Cancelled(f"stopped before step {number} of {training.local_steps}")
        session.step()
        step_done(number)
    return Priced(session.update(), (event,))


@dataclass
class Session:
    """One training in progress: the model with its optimiser, the data, the sampling stream."""

    module: nn.Module
    per_sample: GradSampleModule
    optimizer: UnitOptimizer
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    rows: UnitRows
    start: Tensors
    sample_rate: float
    chunk_rows: int
    sampling: Keystream

    def step(self) -> None:
        """One logical batch: any number of chunks, then one noise draw and one step."""
        batch = poisson(self.sampling, self.rows.n_units, self.sample_rate)
        chunks = list(self.rows.chunks(batch, self.chunk_rows))
        for position, (rows, units, n_units) in enumerate(chunks, start=1):
            self.optimizer.zero_grad(set_to_none=True)
            self._gradients(rows)
            self.optimizer.units, self.optimizer.n_units = torch.from_numpy(units), n_units
            self.optimizer.signal_skip_step(position < len(chunks))
            self.optimizer.step()

    def update(self) -> Tensors:
        """New weights minus the old ones."""
        new = weights(self.module)
        return {name: new[name] - self.start[name] for name in new}

    def _gradients(self, rows: NDArray[np.int64]) -> None:
        """Leave each row's gradient on each parameter, also when there is no row at all."""
        if len(rows) == 0:
            for parameter in self.optimizer.params:
                parameter.grad_sample = parameter.new_zeros(0, *parameter.shape)
            return
        # torch warns about Opacus' backward hooks unless some input wants a gradient.
        features = torch.from_numpy(self.rows.features[rows]).requires_grad_()
        targets = torch.from_numpy(self.rows.targets[rows])
        self.loss(self.per_sample(features), targets).backward()


def prepare(
    protocol: Protocol,
    tensors: Tensors,
    data: Encoded,
    noise_multiplier: float,
    batch_denominator: float,
) -> Session:
    """A session before its first step. It has no price: only `train` lets anything out of it."""
    training = protocol.training
    module = load(protocol, tensors)
    start = weights(module)
    optimizer = UnitOptimizer(
        _optimizer(training, module),
        draw=partial(gaussian, Keystream()),
        noise_multiplier=noise_multiplier,
        max_grad_norm=training.max_grad_norm,
        expected_batch_size=batch_denominator,
    )
    size = sum(parameter.numel() for parameter in module.parameters())
    return Session(
        module=module,
        per_sample=GradSampleModule(module, loss_reduction="sum"),
        optimizer=optimizer,
        loss=partial(summed_loss, class_weights=training.class_weights),
        rows=UnitRows.of(data),
        start=start,
        sample_rate=training.sample_rate,
        chunk_rows=max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // (8 * size))),
        sampling=Keystream(),
    )


def summed_loss(
    logits: torch.Tensor, targets: torch.Tensor, class_weights: list[float] | None
) -> torch.Tensor:
    """Cross-entropy summed over rows, each weighted by its class's public weight."""
    scale = None if class_weights is None else torch.tensor(class_weights)
    if logits.shape[1] > 1:
        return functional.cross_entropy(logits, targets, weight=scale, reduction="sum")
    return functional.binary_cross_entropy_with_logits(
        logits[:, 0],
        targets.to(logits.dtype),
        weight=None if scale is None else scale[targets],
        reduction="sum",
    )


def _optimizer(training: Training, module: nn.Module) -> torch.optim.Optimizer:
    """The optimiser over noised gradients, its state empty: each round starts afresh."""
    if training.optimiser == "adam":
        return torch.optim.Adam(module.parameters(), lr=training.learning_rate)
    momentum = training.momentum if training.optimiser == "momentum" else 0.0
    return torch.optim.SGD(module.parameters(), lr=training.learning_rate, momentum=momentum)
