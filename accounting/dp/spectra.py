"""Characteristic functions that add up exactly: in any order, grouping and time, to the last bit.

A step's mass is transformed once; composing is multiplying the transforms. They are held as
logarithms in whole numbers: logarithm of the size in units of 2^-56, angle in turns of 2^-64,
which wrap around as angles do. Whole numbers add without rounding, so a history that grew
round by round has the very spectrum of one composed at once. Frequencies at which nothing is
left are dropped; as no factor is larger than 1, they never return.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from accounting.dp.lattices import Lattice
from accounting.dp.losses import Step
from accounting.dp.masses import Mass, optimistic, pessimistic
from accounting.dp.sampling import Floats

Wholes = NDArray[np.int64]
Turns = NDArray[np.uint64]

ROWS = 3  # removing, adding, and the optimistic counterpart of removing
_UNIT = 2.0**56
_FLOOR = -63 * 2**56  # exp(−63): the sum of two of them still fits
_NOTHING = -50 * 2**56
_TURN = 2.0**64


@dataclass(frozen=True)
class Spectrum:
    """One step's transform at the first frequencies of a lattice; arrays of shape (ROWS, n)."""

    log_sizes: Floats
    turns: Turns

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.log_sizes.nbytes + self.turns.nbytes


@dataclass(frozen=True)
class Composed:
    """The transform of a history, as long as anything is left of it."""

    counts: Mapping[Step, int]
    log_sizes: Wholes
    turns: Turns

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.log_sizes.nbytes + self.turns.nbytes + 100 * len(self.counts)

    @property
    def length(self) -> int:
        """How many frequencies are kept."""
        return int(self.turns.shape[1])

    def values(self) -> NDArray[np.complex128]:
        """The transform itself, shape (ROWS, length)."""
        angles = (self.turns.astype(np.int64) / _TURN) * (2 * np.pi)
        found: NDArray[np.complex128] = np.exp(self.log_sizes / _UNIT + 1j * angles)
        return found


def nothing(lattice: Lattice) -> Composed:
    """The transform of an empty history: 1 at every frequency."""
    shape = (ROWS, lattice.cells // 2 + 1)
    return Composed({}, np.zeros(shape, np.int64), np.zeros(shape, np.uint64))


def more(before: Composed, step: Step, one: Spectrum, count: int) -> Composed:
    """`before` with `count` steps in all of a kind of which it may have fewer."""
    had, length = before.counts.get(step, 0), before.length
    log_sizes = before.log_sizes + _sizes(one, count, length)
    if had:
        log_sizes -= _sizes(one, had, length)
    turns = before.turns + one.turns[:, :length] * np.uint64(count - had)
    np.maximum(log_sizes, _FLOOR, out=log_sizes)
    kept = int(np.flatnonzero((log_sizes > _NOTHING).any(axis=0))[-1]) + 1
    counts = {**before.counts, step: count}
    return Composed(counts, log_sizes[:, :kept].copy(), turns[:, :kept].copy())


def _sizes(one: Spectrum, count: int, length: int) -> Wholes:
    scaled = np.maximum(one.log_sizes[:, :length] * (count * _UNIT), float(_FLOOR))
    return np.rint(scaled).astype(np.int64)


def spectrum(step: Step, lattice: Lattice, length: int) -> Spectrum:
    """The transform of one step, at the first `length` frequencies."""
    interval = lattice.interval
    remove = pessimistic(step, interval, adding=False)
    add = remove if step.rate == 1.0 else pessimistic(step, interval, adding=True)
    lower = optimistic(step, interval)
    drawn = np.array([_on_ring(mass, lattice.cells) for mass in (remove, add, lower)])
    values = rfft(drawn, axis=1)[:, :length]
    sizes = np.maximum(values.real**2 + values.imag**2, 1e-60)
    log_sizes = np.minimum(0.5 * np.log(sizes), 0.0)
    angles = np.arctan2(values.imag, values.real) / (2 * np.pi)
    turns = np.rint(angles * 2.0**62).astype(np.int64).astype(np.uint64) * np.uint64(4)
    return Spectrum(log_sizes, turns)


def _on_ring(mass: Mass, cells: int) -> Floats:
    return np.bincount(mass.indices % cells, weights=mass.masses, minlength=cells)
