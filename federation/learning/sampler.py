"""Poisson sampling of privacy units: each takes part in a step with probability `sample_rate`.

Drawing the number of units first, Binomial(n, q), and then that many distinct units is the same
distribution as n independent coins, at the cost of the batch instead of the cost of all units.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from federation.learning.noise import Keystream

Indices = NDArray[np.int64]


def poisson(stream: Keystream, n_units: int, sample_rate: float) -> Indices:
    """The sorted indices of the units that take part in one step (often of varying number)."""
    if n_units == 0:
        return np.empty(0, dtype=np.int64)
    if sample_rate >= 1:
        return np.arange(n_units)
    size = binomial(float(stream.uniform(1)[0]), n_units, sample_rate)
    if size <= n_units // 2:
        return np.sort(_distinct(stream, n_units, size))
    taken = np.ones(n_units, dtype=bool)
    taken[_distinct(stream, n_units, n_units - size)] = False
    return np.flatnonzero(taken)


def binomial(uniform: float, trials: int, probability: float) -> int:
    """The smallest k with P(Binomial(trials, probability) <= k) >= `uniform`, by bisection."""
    below, enough = -1, trials
    while enough - below > 1:
        middle = (below + enough) // 2
        if betainc(trials - middle, middle + 1, 1 - probability) >= uniform:
            enough = middle
        else:
            below = middle
    return enough


def _distinct(stream: Keystream, n_units: int, size: int) -> Indices:
    """`size` different indices below `n_units`: repeats are dropped in the order of drawing."""
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < size:
        more = _below(stream, n_units, 2 * (size - len(drawn)) + 8)
        every = np.concatenate([drawn, more])
        _, first = np.unique(every, return_index=True)
        drawn = every[np.sort(first)]
    return drawn[:size]


def _below(stream: Keystream, limit: int, count: int) -> Indices:
    """At most `count` uniform integers below `limit`; a word that would bias them is dropped."""
    words = stream.words(count)
    fair = (2**64 // limit) * limit
    kept = words if fair == 2**64 else words[words < np.uint64(fair)]
    return (kept % np.uint64(limit)).astype(np.int64)
