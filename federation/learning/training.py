"""Private training at a site: DP-SGD on Poisson samples of privacy units, with its price.

The number of steps, the sampling rate, the clip and the denominator are constants of the
protocol. Nothing here is derived from how many rows or units the site has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from accounting.dp.events import Mechanism, PrivacyEvent
from federation.learning import control, devices, engines, grades, losses, personal, steady
from federation.learning.drift import Drift
from federation.learning.grades import Chunk, NoisedSum
from federation.learning.layout import Layout
from federation.learning.memory import CHUNK_BYTES
from federation.learning.modules import load, weights
from federation.learning.noise import Keystream
from federation.learning.optimisers import Optimiser, flattened
from federation.learning.sampler import poisson
from federation.learning.units import Indices, UnitRows, blocks
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from federation.protocol.priced import Made, Priced
from federation.protocol.stored import Stored
from federation.protocol.tensors import Tensors

_STEP_BYTES_PER_WEIGHT = 32  # float64: the sum, the noise, two of the optimiser's
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
    data: Encoded | Stored,
    noise_multiplier: float,
    batch_denominator: float,
    step_done: Callable[[int], None],
    cancelled: Callable[[], bool] = never,
) -> Priced:
    """What may leave of `trained`: the update (new − old) of the shared layers, and its price."""
    return trained(
        protocol=protocol,
        tensors=tensors,
        data=data,
        noise_multiplier=noise_multiplier,
        batch_denominator=batch_denominator,
        step_done=step_done,
        cancelled=cancelled,
    ).priced


def trained(
    *,
    protocol: Protocol,
    tensors: Tensors,
    data: Encoded | Stored,
    noise_multiplier: float,
    batch_denominator: float,
    step_done: Callable[[int], None],
    cancelled: Callable[[], bool] = never,
    chunk_bytes: int = CHUNK_BYTES,
    correction: Tensors | None = None,
    device: devices.Device = devices.AUTO,
) -> Made:
    """Exactly `local_steps` private steps from the whole model `tensors`.

    The update of the shared layers with the event it cost, and what stays: the new personal
    layers and, where there is a `correction` (see `control`: over a whole round, named as the
    shared layers), the new control. A sample without any unit still makes a step, with noise, and
    is charged. `step_done(k)` is called after each step, k from 1. `chunk_bytes` bounds the memory
    of a step, and but for rounding changes neither what it computes nor what it costs; nor does
    `device`.

    Raises:
        Cancelled: `cancelled()` was true before a step.
        DeviceAbsent: there is no such device.
        ValueError: the tensors do not belong to the protocol's model, or a number is not positive.
    """
    training = protocol.training
    event = _event(protocol, noise_multiplier, batch_denominator)
    session = prepare(
        protocol, tensors, data, noise_multiplier, batch_denominator, correction, device
    )
    session.chunk_bytes = chunk_bytes
    for number in range(1, training.local_steps + 1):
        if cancelled():
            raise Cancelled(f"stopped before step {number} of {training.local_steps}")
        session.step()
        step_done(number)
    layers = protocol.model.personal_layers
    released = personal.parted(session.update(), session.module, layers).shared
    kept = personal.parted(weights(session.module), session.module, layers).own
    direction = control.own(correction or {}, released)
    return Made(Priced(released, (event,)), control.joined(kept, direction))


def _event(protocol: Protocol, noise_multiplier: float, batch_denominator: float) -> PrivacyEvent:
    """What all local steps cost together."""
    training = protocol.training
    return PrivacyEvent(
        Mechanism.POISSON_GAUSSIAN,
        noise_multiplier=noise_multiplier,
        sample_rate=training.sample_rate,
        steps=training.local_steps,
        max_grad_norm=training.max_grad_norm,
        batch_denominator=batch_denominator,
        noise_grade=grades.get(training.noise).event,
        unit=protocol.data.unit,
    )


@dataclass
class Session:
    """One training in progress: the model, its noised sums, the data, the sampling stream."""

    module: nn.Module
    sum: NoisedSum
    optimiser: Optimiser
    drift: Drift
    rows: UnitRows
    start: Tensors
    sample_rate: float
    noise_multiplier: float
    batch_denominator: float
    device: torch.device
    sampling: Keystream
    chunk_bytes: int = CHUNK_BYTES

    @torch.inference_mode()
    def step(self) -> None:
        """One logical batch: any number of chunks, then one noise draw and one step.

        Without autograd's book-keeping, which costs small models a tenth; engines that need it
        turn it on for their passes.
        """
        batch = poisson(self.sampling, self.rows.n_units, self.sample_rate)
        most = self.chunk_rows
        for rows, units, n_units in self.rows.chunks(batch, most):
            if len(rows) > most:
                self.sum.add_unit(self.chunk(*part, 1) for part in blocks(rows, units, most))
            else:
                self.sum.add(self.chunk(rows, units, n_units))
        noised = self.sum.release(self.noise_multiplier, self.batch_denominator)
        # A sample without any unit is noise alone, which is drawn on the CPU.
        self.optimiser.step(self.drift.corrected(noised.to(self.device)))

    def chunk(self, rows: Indices, units: Indices | None, n_units: int) -> Chunk:
        """Those rows, filled up by the last of them, which then counts for nobody (`steady`)."""
        spare = steady.filled(len(rows), self.chunk_rows) - len(rows)
        every = np.concatenate([rows, rows[-1:].repeat(spare)]) if spare else rows
        with torch.inference_mode(False):  # autograd must be able to keep them
            features, targets = (
                self._tensor(numbers.take(every, axis=0))
                for numbers in (self.rows.features, self.rows.targets)
            )
        named = None if units is None else self._tensor(units)
        return Chunk(features, targets, Layout(named, n_units, self.device, spare=spare))

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    @cached_property
    def chunk_rows(self) -> int:
        """How many rows are computed together, so that memory stays bounded."""
        # Where units have several rows, a gradient per unit may have to be made.
        made = 0 if self.rows.single else 8 * len(self.optimiser.weights)
        # Each chunk passes over all weights once more. Noise and sums take this memory anyway.
        room = max(self.chunk_bytes, _STEP_BYTES_PER_WEIGHT * len(self.optimiser.weights))
        return steady.together(max(1, min(_CHUNK_ROWS, room // (self.sum.row_bytes + made))))

    def update(self) -> Tensors:
        """New weights minus the old ones."""
        new = weights(self.module)
        return {name: new[name] - self.start[name] for name in new}


def prepare(
    protocol: Protocol,
    tensors: Tensors,
    data: Encoded | Stored,
    noise_multiplier: float,
    batch_denominator: float,
    correction: Tensors | None = None,
    device: devices.Device = devices.AUTO,
) -> Session:
    """A session before its first step. It has no price: only `train` lets anything out of it."""
    training = protocol.training
    place = devices.chosen(device)
    module = load(protocol, tensors).to(place)
    start = weights(module)
    flat = flattened(module)
    shared = personal.shared_size(module, protocol.model.personal_layers)
    example = torch.zeros(2, *data.features.shape[1:], device=place)
    engine = engines.chosen(training.engine, module, example)
    gradients = engine.gradients(module, losses.of(protocol, place), example)
    grade = grades.get(training.noise)
    return Session(
        module=module,
        sum=grade.sum(gradients, len(flat), training.max_grad_norm),
        optimiser=Optimiser(flat, training),
        drift=Drift.of(flat[:shared], training.proximal, _offset(protocol, module, correction)),
        rows=UnitRows.of(data, grouped=protocol.data.unit == "patient"),
        start=start,
        sample_rate=training.sample_rate,
        noise_multiplier=noise_multiplier,
        batch_denominator=batch_denominator,
        device=place,
        sampling=Keystream(),
    )


def _offset(
    protocol: Protocol, module: nn.Module, correction: Tensors | None
) -> torch.Tensor | None:
    """A round's correction as what joins each step's gradient, flat, on the module's device."""
    if not correction:
        return None
    named = [(name, p) for name, p in module.named_parameters() if name in correction]
    flat = [torch.from_numpy(correction[name]).to(p.device).flatten() for name, p in named]
    reach = protocol.training.local_steps * protocol.training.learning_rate
    return torch.cat(flat).double() / reach
