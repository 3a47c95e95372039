"""Poisson sampling of privacy units: each takes part in a step with probability `sample_rate`.

Drawing the number of units first, Binomial(n, q), and then that many distinct units is the same
distribution as n independent coins, at the cost of the batch instead of the cost of all units.
Where a good part of the units takes part anyway, coins cost less.
"""

from functools import lru_cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from federation.learning.noise import Keystream

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
_DEVIATIONS = 10  # either side of the mean that the table of sizes covers; beyond it: bisection
_TABLE = 1 << 20
_DENSE = 0.1  # the rate from which coins cost less than drawing without repeats
_BLOCK = 1 << 16


def poisson(stream: Keystream, n_units: int, sample_rate: float) -> Indices:
    """The sorted indices of the units that take part in one step (often of varying number)."""
    if n_units == 0:
        return np.empty(0, dtype=np.int64)
    if sample_rate >= 1:
        return np.arange(n_units)
    if sample_rate >= _DENSE:
        return _coins(stream, n_units, sample_rate)
    size = binomial(stream.one(), n_units, sample_rate)
    return _distinct(stream, n_units, size)


def _coins(stream: Keystream, n_units: int, sample_rate: float) -> Indices:
    """A coin of 64 bits for each unit, for rates at which that is the cost of the batch."""
    below = np.uint64(sample_rate * 2.0**64)
    found: Indices = np.concatenate(
        [
            first + np.flatnonzero(stream.words(min(_BLOCK, n_units - first)) < below)
            for first in range(0, n_units, _BLOCK)
        ]
    )
    return found


def binomial(uniform: float, trials: int, probability: float) -> int:
    """The smallest k with P(Binomial(trials, probability) <= k) >= `uniform`."""
    first, table = _sizes(trials, probability)
    place = int(table.searchsorted(uniform))
    if 0 < place < len(table) or (place == 0 and first == 0):
        return first + place
    return _bisected(uniform, trials, probability)


@lru_cache(maxsize=16)
def _sizes(trials: int, probability: float) -> tuple[int, Floats]:
    """(first k, P(Binomial <= k) from there on): where nearly every size falls."""
    mean = trials * probability
    spread = _DEVIATIONS * (sqrt(mean * (1 - probability)) + 1)
    first, last = max(0, int(mean - spread)), min(trials - 1, int(mean + spread))
    sizes = np.arange(first, min(last, first + _TABLE) + 1)
    return first, np.maximum.accumulate(betainc(trials - sizes, sizes + 1, 1 - probability))


def _bisected(uniform: float, trials: int, probability: float) -> int:
    below, enough = -1, trials
    while enough - below > 1:
        middle = (below + enough) // 2
        if betainc(trials - middle, middle + 1, 1 - probability) >= uniform:
            enough = middle
        else:
            below = middle
    return enough


def _distinct(stream: Keystream, n_units: int, size: int) -> Indices:
    """`size` different indices below `n_units`, sorted.

    As if drawn one by one with repeats passed over: as many are drawn as are still missing, so
    none is ever drawn too many and the order of drawing need not be kept.
    """
    found = _below(stream, n_units, size)
    found.sort()
    while size and (len(found) < size or (found[1:] == found[:-1]).any()):
        found = np.concatenate([found[:1], found[1:][found[1:] != found[:-1]]])
        found = np.concatenate([found, _below(stream, n_units, size - len(found))])
        found.sort()
    return found


def _below(stream: Keystream, limit: int, count: int) -> Indices:
    """At most `count` uniform integers below `limit`; a word that would bias them is dropped."""
    words = stream.words(count)
    fair = (2**64 // limit) * limit
    if fair != 2**64 and not (words < np.uint64(fair)).all():
        words = words[words < np.uint64(fair)]
    found: Indices = (words % np.uint64(limit)).view(np.int64)
    return found
