"""Canaries of an empirical audit: synthetic units made of the protocol alone, and their scores.

A canary is a legal row of the data contract that no site owns: every number at one of its
declared bounds, every category and class drawn evenly, by SHAKE-256 of the protocol's digest. Hub
and sites make the same ones. Far out and drawn independently, their gradients are long and, in a
model with many more parameters than canaries, nearly orthogonal.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.learning.gradients import clipped_rows, flat
from federation.protocol.cells import Arrays
from federation.protocol.contract import Columns, Encoded, encode
from federation.protocol.document import (
    ArrayColumn,
    CategoryColumn,
    DataContract,
    NumberColumn,
    NumberTarget,
    Protocol,
)
from federation.protocol.encoding import text_array
from federation.protocol.plans import batch_denominator
from federation.protocol.stored import Stored
from federation.protocol.tensors import Tensors

Floats = NDArray[np.float64]
_PURPOSE = b"cloister-canaries-v1\n"
_PRIOR_PRECISION = 4.0  # of a fair coin
_LARGEST = 2**25  # numbers in the matrix of gradients; 256 MiB
_WORD = 4  # bytes per draw; the bias of a remainder is below 1e-6 for 1000 categories


@dataclass(frozen=True)
class Seen:
    """One round as the hub sees it: the model given out, each site's update, the noise."""

    model: Tensors
    updates: Mapping[str, Tensors]  # by institution
    noise_multiplier: float


def canaries(protocol: Protocol) -> Encoded:
    """The protocol's canaries in order, each a unit of one row. Raises ValueError without any."""
    if protocol.audit is None:
        raise ValueError("the protocol has no [audit] section, so it has no canaries")
    count, contract = protocol.audit.canaries, protocol.data
    draws = _draws(protocol.digest, count, len(contract.columns) + 1)
    columns: Columns = {}
    for place, column in enumerate(contract.columns):
        if isinstance(column, ArrayColumn):
            columns[column.name] = _at_bounds(protocol.digest, column, count)
            continue
        cells = column.categories if isinstance(column, CategoryColumn) else _bounds(column)
        columns[column.name] = _chosen(cells, draws[place])
    columns[contract.target.column] = _chosen(_outcomes(contract), draws[-1])
    if contract.patient_column is not None:
        columns[contract.patient_column] = text_array([f"canary {n}" for n in range(count)])
    # A bound that is also a code for no value is that bound here: canaries lack nothing.
    complete = contract.model_copy(update={"missing_values": []})
    return encode(columns, complete, keyed_order=None)


def joined(data: Encoded | Stored, protocol: Protocol, coins: Sequence[int]) -> Encoded | Stored:
    """The rows of a site, and after them the canaries whose coin is 1, as further units."""
    extra = canaries(protocol)
    chosen = np.flatnonzero(np.asarray(coins))
    if isinstance(data, Stored):
        return data.followed_by(extra.features[chosen], extra.targets[chosen])
    return Encoded(
        np.concatenate([data.features, extra.features[chosen]]),
        np.concatenate([data.targets, extra.targets[chosen]]),
        np.concatenate([data.units, data.n_units + np.arange(len(chosen))]),
        data.n_units + len(chosen),
    )


def scores(protocol: Protocol, rounds: Sequence[Seen]) -> dict[str, Floats]:
    """For each site one number per canary, float64 [m]: the higher, the likelier it was in.

    The updates are a noisy linear image of the coins: each included canary adds its clipped
    gradient about sample_rate times a step. The scores are the posterior means of the coins in
    that linear Gaussian model, with the gradients taken at each round's starting model and what
    the other sites sent projected out, for real rows pull all sites the same way. Whatever the
    scores are, the bound made of them is valid; they decide only how much it shows.
    """
    rows = canaries(protocol)
    sites = sorted({slug for seen in rounds for slug in seen.updates})
    sums = {slug: _Fit(len(rows.targets)) for slug in sites}
    for seen in rounds:
        size = sum(array.size for array in seen.model.values())
        gradients = clipped_rows(protocol, seen.model, rows, stride=_stride(protocol, size))
        for slug in seen.updates:
            view = _View.of(protocol, seen, slug, gradients, len(rounds))
            sums[slug].add(view)
    return {slug: fit.solved() for slug, fit in sums.items()}


@dataclass(frozen=True)
class _View:
    """One round at one site as a regression: `observed` ≈ gradientsᵀ · coins + noise."""

    observed: Floats  # [parameters], in clipped gradients per unit that is surely drawn
    gradients: Floats  # [canaries, parameters]
    common: Floats | None  # [parameters], a direction that says nothing about these coins
    variance: float  # of each element of `observed`

    @classmethod
    def of(
        cls, protocol: Protocol, seen: Seen, slug: str, gradients: Floats, rounds: int
    ) -> "_View":
        half = 0.5 * gradients.sum(axis=0)
        sent = {name: _per_unit(protocol, seen, name) - half for name in seen.updates}
        others = [sent[name] for name in seen.updates if name != slug]
        common: Floats | None = np.asarray(np.sum(others, axis=0)) if others else None
        return cls(sent[slug], gradients, common, _variance(protocol, seen, slug, rounds))


class _Fit:
    """The normal equations of a ridge regression, added up over rounds."""

    def __init__(self, count: int) -> None:
        self._matrix = _PRIOR_PRECISION * np.eye(count)
        self._right = np.zeros(count)

    def add(self, view: _View) -> None:
        """Take one more round."""
        gradients, observed = view.gradients, view.observed
        self._matrix += gradients @ gradients.T / view.variance
        self._right += gradients @ observed / view.variance
        if view.common is None or not (length := float(np.linalg.norm(view.common))):
            return
        direction = view.common / length
        along = gradients @ direction
        self._matrix -= np.outer(along, along) / view.variance
        self._right -= along * float(direction @ observed) / view.variance

    def solved(self) -> Floats:
        """The posterior means of the coins, less one half."""
        found: Floats = np.asarray(np.linalg.solve(self._matrix, self._right))
        return found


def _per_unit(protocol: Protocol, seen: Seen, slug: str) -> Floats:
    """The update as a sum of clipped gradients, divided by how much a sure unit adds to it."""
    training = protocol.training
    scale = training.learning_rate / batch_denominator(protocol, slug)
    if training.optimiser == "adam":
        # Adam divides by the gradient's own size, which is that of the noise.
        scale = training.learning_rate / (seen.noise_multiplier * training.max_grad_norm)
    gain = float(_step_weights(protocol).sum()) * training.sample_rate
    found: Floats = np.asarray(-flat(seen.updates[slug]) / (scale * gain))
    return found[:: _stride(protocol, len(found))]


def _stride(protocol: Protocol, parameters: int) -> int:
    """Every how many-th parameter is looked at, so that the gradients fit into memory."""
    return max(1, -(-protocol.canaries * parameters // _LARGEST))


def _variance(protocol: Protocol, seen: Seen, slug: str, rounds: int) -> float:
    """Noise, who was drawn, and the site's own rows, as if they pulled in every direction alike."""
    training = protocol.training
    rate, weights = training.sample_rate, _step_weights(protocol)
    size = sum(array.size for array in seen.model.values())
    units = protocol.member(slug).cohort_size
    drawn = rate * (1 - rate) * units / size
    noise = (seen.noise_multiplier**2 + drawn) * float((weights**2).sum())
    # The rows stay the same in all rounds, so their pull does not average out.
    pull = rounds * units / size
    gain = float(weights.sum()) * rate
    return training.max_grad_norm**2 * (noise / gain**2 + pull)


def _step_weights(protocol: Protocol) -> Floats:
    """How much each step's gradient counts in the update: how far one push has moved by its end.

    Momentum repeats the early ones, a pull towards the round's model takes some of them back.
    """
    training = protocol.training
    if training.optimiser == "adam":
        return np.ones(training.local_steps)
    kept = training.momentum if training.optimiser == "momentum" else 0.0
    speed, moved = 1.0, [1.0]
    for _ in range(training.local_steps - 1):
        speed = kept * speed - training.learning_rate * training.proximal * moved[-1]
        moved.append(moved[-1] + speed)
    return np.array(moved[::-1])


def _draws(digest: str, count: int, columns: int) -> NDArray[np.uint32]:
    """uint32 [columns, count], the same on every machine."""
    stream = hashlib.shake_256(_PURPOSE + digest.encode()).digest(_WORD * count * columns)
    return np.frombuffer(stream, dtype="<u4").astype(np.uint32).reshape(columns, count)


def _at_bounds(digest: str, column: ArrayColumn, count: int) -> Arrays:
    """Each number of an array at one of its bounds, by a draw of its own."""
    draws = _draws(f"{digest}\n{column.name}", count, math.prod(column.shape)).T
    return Arrays(np.where(draws % 2, np.float32(column.high), np.float32(column.low)))


def _outcomes(contract: DataContract) -> list[str]:
    target = contract.target
    if isinstance(target, NumberTarget):
        return _bounds(target)
    return [values[0] for values in target.classes]


def _bounds(declared: NumberColumn | NumberTarget) -> list[str]:
    """Spelt so that no list of texts for "missing" names one by accident."""
    return [f"{bound:.17e}" for bound in (declared.low, declared.high)]


def _chosen(cells: Sequence[str], draws: NDArray[np.uint32]) -> NDArray[np.object_]:
    return text_array([cells[int(draw) % len(cells)] for draw in draws])
