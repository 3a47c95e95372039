"""Characteristic functions that add up exactly: in any order, grouping and time, to the last bit.

A step's mass is transformed once; composing is multiplying the transforms. They are held as
logarithms in whole numbers: logarithm of the size in units of 2^-56, angle in turns of 2^-64,
which wrap around as angles do. Whole numbers add without rounding, so a history that grew
round by round has the very spectrum of one composed at once. Frequencies at which nothing is
left are dropped; as no factor is larger than 1, they never return.
"""

import math
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
_LEAST, _ROUNDED = 1e-60, 1e-12
_UNIT = 2.0**56
_FLOOR = -63 * 2**56  # exp(−63): the sum of two of them still fits
_NOTHING = -50 * 2**56
_SURELY_NOTHING = -52.0
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

    @property
    def length(self) -> int:
        """How many frequencies are known."""
        return int(self.turns.shape[1])


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
    had, length = before.counts.get(step, 0), min(before.length, one.length)
    log_sizes = before.log_sizes[:, :length] + _sizes(one, count, length)
    if had:
        log_sizes -= _sizes(one, had, length)
    turns = before.turns[:, :length] + one.turns[:, :length] * np.uint64(count - had)
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
    def totals(self) -> Floats:
        """The sum of each row: 1, or less by what the optimistic one lost."""
        found: Floats = self.masses.sum(axis=1)
        return found

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.masses.nbytes


def drawn(step: Step, interval: float) -> Drawn:
    """Removing, adding and the optimistic counterpart, over the places that they share."""
    each = (*pessimistic(step, interval), optimistic(step, interval))
    start = min(mass.start for mass in each)
    masses = np.zeros((ROWS, max(mass.start + mass.masses.size for mass in each) - start))
    for row, mass in zip(masses, each, strict=True):
        row[mass.start - start :][: mass.masses.size] = mass.masses
    return Drawn(start, masses)


def spectrum(one: Drawn, cells: int, length: int, count: int) -> Spectrum:
    """The transform of one step at the first frequencies, `length` at most.

    Those at which `count` such steps leave nothing may be missing at the end. Each frequency is
    computed in one way only, however many are asked for: a few low ones are all that is left of
    most histories, and by a matrix they keep their digits.
    """
    lacking = _lacking(one, cells, length, count)
    log_sizes = (
        _log_sizes(lacking)
        + np.where(np.abs(one.totals - 1.0) > _ROUNDED, np.log(one.totals), 0.0)[:, None]
    )
    turns = np.arctan2(-lacking.imag, 1.0 - lacking.real) / (2 * np.pi)
    wholes = np.rint(turns * 2.0**62).astype(np.int64).astype(np.uint64) * np.uint64(4)
    return Spectrum(np.minimum(log_sizes, 0.0), wholes)


def _log_sizes(lacking: NDArray[np.complex128]) -> Floats:
    """log |1 − lacking|, to the last digits where that is nearly 0."""
    shrunk = lacking.real * (lacking.real - 2.0) + lacking.imag**2
    sizes = (1.0 - lacking.real) ** 2 + lacking.imag**2
    near = np.log1p(np.maximum(shrunk, -0.5))
    return 0.5 * np.where(shrunk > -0.5, near, np.log(np.maximum(sizes, _LEAST)))


def _lacking(one: Drawn, cells: int, length: int, count: int) -> NDArray[np.complex128]:
    """1 less the transform."""
    low = min(length, _LOW) if _is_within(one, cells) else 0
    if length == low:
        return _low(one, cells, low)
    whole = _all(one, cells)[:, :length] / one.totals[:, None]
    length = _left(whole, count)
    low = min(length, low)
    return np.concatenate((*([_low(one, cells, low)] if low else []), 1 - whole[:, low:length]), 1)


def _left(whole: NDArray[np.complex128], count: int) -> int:
    """Up to which frequency `count` steps leave anything."""
    least = math.exp(2.0 * _SURELY_NOTHING / count)
    return int(np.flatnonzero(((whole.real**2 + whole.imag**2) > least).any(axis=0))[-1]) + 1


def _is_within(one: Drawn, cells: int) -> bool:
    """Whether the ring holds every place of the ladder that a step uses."""
    first, waves = _waves(cells)
    return first <= one.start and one.start + one.masses.shape[1] <= first + waves.shape[2]


def _low(one: Drawn, cells: int, length: int) -> NDArray[np.complex128]:
    """What the first few frequencies lack of 1.

    As a sum of terms that are small themselves it keeps its digits however small it is, and so
    does the transform of a million steps.
    """
    first, waves = _waves(cells)
    begin, end = one.start - first, one.start - first + one.masses.shape[1]
    # Not by BLAS, whose threads spin for each other where many processes share the processors.
    found = np.einsum("rp,wfp->wrf", one.masses, waves[:, :length, begin:end])
    found /= one.totals[:, None]
    lacking: NDArray[np.complex128] = found[0] + 1j * found[1]
    return lacking


@lru_cache(maxsize=6)
def _waves(cells: int) -> tuple[int, Floats]:
    """The ladder's first place; from there on 1 − cosine, then sine, of _LOW frequencies."""
    first, last = np.searchsorted(LADDER, [-cells, cells])
    turned = np.multiply.outer(np.arange(_LOW), LADDER[first:last])
    nearest = (turned + cells // 2) % cells - cells // 2
    angles = nearest * (2 * np.pi / cells)
    return int(first), np.array([2 * np.sin(angles / 2) ** 2, np.sin(angles)])


def _all(one: Drawn, cells: int) -> NDArray[np.complex128]:
    """At every frequency."""
    places = LADDER[one.start : one.start + one.masses.shape[1]] % cells
    ring = [np.bincount(places, weights=row, minlength=cells) for row in one.masses]
    found: NDArray[np.complex128] = rfft(np.array(ring), axis=1)
    return found
