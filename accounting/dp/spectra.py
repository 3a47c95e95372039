"""Characteristic functions that add up exactly: in any order, grouping and time, to the last bit.

A step's mass is transformed once; composing is multiplying the transforms. They are held as
logarithms in whole numbers: logarithm of the size in units of 2^-56, angle in turns of 2^-64,
which wrap around as angles do. Whole numbers add without rounding, so a history that grew
round by round has the very spectrum of one composed at once. Frequencies at which nothing is
left are dropped; as no factor is larger than 1, they never return.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from accounting.dp.lattices import Lattice
from accounting.dp.losses import Step
from accounting.dp.masses import LADDER, optimistic, pessimistic
from accounting.dp.sampling import Floats

Wholes = NDArray[np.int64]
Turns = NDArray[np.uint64]

ROWS = 3  # removing, adding, and the optimistic counterpart of removing
_LOW = 96
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


@dataclass(frozen=True)
class Drawn:
    """One step's masses on the ladder, from its place `start` on; shape (ROWS, n)."""

    start: int
    masses: Floats

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.masses.nbytes


def drawn(step: Step, interval: float) -> Drawn:
    """Removing, adding and the optimistic counterpart, over the places that they share."""
    remove = pessimistic(step, interval, adding=False)
    add = remove if step.rate == 1.0 else pessimistic(step, interval, adding=True)
    each = (remove, add, optimistic(step, interval))
    start = min(mass.start for mass in each)
    masses = np.zeros((ROWS, max(mass.start + mass.masses.size for mass in each) - start))
    for row, mass in zip(masses, each, strict=True):
        row[mass.start - start :][: mass.masses.size] = mass.masses
    return Drawn(start, masses)


def spectrum(one: Drawn, cells: int, length: int) -> Spectrum:
    """The transform of one step at the first `length` frequencies, _LOW at least.

    Each frequency is computed in one way only, however many are asked for: a few low ones are
    all that is left of most histories, and by a matrix they cost less than the whole transform.
    """
    values = _low(one, cells)
    if values is None:
        values = _all(one, cells)[:, :length]
    elif length > _LOW:
        values = np.concatenate((values, _all(one, cells)[:, _LOW:length]), axis=1)
    sizes = np.maximum(values.real**2 + values.imag**2, 1e-60)
    log_sizes = np.minimum(0.5 * np.log(sizes), 0.0)
    angles = np.arctan2(values.imag, values.real) / (2 * np.pi)
    turns = np.rint(angles * 2.0**62).astype(np.int64).astype(np.uint64) * np.uint64(4)
    return Spectrum(log_sizes, turns)


def _low(one: Drawn, cells: int) -> NDArray[np.complex128] | None:
    """At the first _LOW frequencies; None where the ladder is longer than the ring."""
    first, waves = _waves(cells)
    begin, end = one.start - first, one.start - first + one.masses.shape[1]
    if begin < 0 or end > waves.shape[1]:
        return None
    found = one.masses @ waves[:, begin:end].T
    return found[:, :_LOW] - 1j * found[:, _LOW:]


@lru_cache(maxsize=4)
def _waves(cells: int) -> tuple[int, Floats]:
    """The ladder's first place; from there on cosines, then sines, of _LOW frequencies."""
    first, last = np.searchsorted(LADDER, [-cells, cells])
    turned = np.multiply.outer(np.arange(_LOW), LADDER[first:last]) % cells
    angles = turned * (2 * np.pi / cells)
    return int(first), np.concatenate((np.cos(angles), np.sin(angles)))


def _all(one: Drawn, cells: int) -> NDArray[np.complex128]:
    """At every frequency."""
    places = LADDER[one.start : one.start + one.masses.shape[1]] % cells
    ring = [np.bincount(places, weights=row, minlength=cells) for row in one.masses]
    found: NDArray[np.complex128] = rfft(np.array(ring), axis=1)
    return found
