"""Repeating a discretised privacy loss, and reading ε off it: arrays instead of Python loops.

The algorithms are those of `dp_accounting` 0.6 (pld_pmf.py, common.py) and so are the objects;
the tests hold both against it. What differs is the cost: moments are computed once per step
and not once per composition, and no loop runs over grid points.
"""

import math
from dataclasses import dataclass

import numpy as np
from dp_accounting.pld.pld_pmf import DensePLDPmf
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import fftconvolve
from scipy.special import logsumexp

from accounting.dp.sampling import Floats

_TAIL_MASS = 1e-15  # dp_accounting's default: moved to infinity at each composition
_MOST_POINTS = 2**23
_LARGEST_LOSS = 700.0  # exp(-loss) is still a normal float


@dataclass(frozen=True)
class OneStep:
    """The loss of one step in one direction (adding, or removing, a unit), with its moments.

    `moments` are the logarithms of E[exp(order · index)] at `orders`, index on the grid.
    """

    mass: DensePLDPmf
    orders: Floats
    moments: Floats

    @classmethod
    def of(cls, mass: DensePLDPmf) -> "OneStep":
        """Compute the moments of a mass."""
        index = np.arange(mass.size)
        orders = np.concatenate((np.arange(-20, 0), np.arange(1, 21))) / mass.size
        with np.errstate(divide="ignore"):
            logs = np.log(mass._probs)
        return cls(mass, orders, np.array([logsumexp(logs + index * each) for each in orders]))

    def repeated(self, count: int) -> DensePLDPmf:
        """The loss of `count` independent steps. Raises OverflowError beyond 2^23 grid points."""
        if count == 1:
            return self.mass
        low, high = self._window(count)
        if high - low > _MOST_POINTS:
            raise OverflowError(f"{count} steps need a grid of {high - low} points")
        size = next_fast_len(max(high - low + 1, self.mass.size), real=True)
        wrapped = irfft(rfft(self.mass._probs, size) ** count, size)
        return DensePLDPmf(
            self.mass._discretization,
            self.mass._lower_loss * count + low,
            np.roll(wrapped, -low)[: high - low + 1],
            _TAIL_MASS - math.expm1(count * math.log1p(-self.mass._infinity_mass)),
            True,
        )

    def _window(self, count: int) -> tuple[int, int]:
        """Grid indices outside which the sum of `count` steps has negligible mass (Chernoff)."""
        bounds = (count * self.moments + math.log(2 / _TAIL_MASS)) / self.orders
        above, below = bounds[self.orders > 0], bounds[self.orders < 0]
        high = min((self.mass.size - 1) * count, math.ceil(above.min()))
        return max(0, math.floor(below.max())), high


def composed(one: DensePLDPmf, other: DensePLDPmf) -> DensePLDPmf:
    """The loss of both together; tails of negligible mass go to infinity and to the lowest loss."""
    probs = fftconvolve(one._probs, other._probs)
    first = int(np.argmax(np.cumsum(probs) > _TAIL_MASS / 2))
    last = probs.size - int(np.argmax(np.cumsum(probs[::-1]) > _TAIL_MASS / 2))
    kept = probs[first : max(last, first + 1)].copy()
    kept[0] += probs[:first].sum()
    both = one._infinity_mass * other._infinity_mass
    infinite = one._infinity_mass + other._infinity_mass - both
    return DensePLDPmf(
        one._discretization,
        one._lower_loss + other._lower_loss + first,
        kept,
        infinite + probs[max(last, first + 1) :].sum(),
        True,
    )


def epsilon(mass: DensePLDPmf, delta: float) -> float:
    """The smallest ε >= 0 with divergence at most `delta`; infinity where there is none."""
    if mass._infinity_mass > delta:
        return math.inf
    first = max(0, 1 - mass._lower_loss)  # the first index whose loss is positive
    losses = (np.arange(mass.size - 1, first - 1, -1) + mass._lower_loss) * mass._discretization
    if losses.size == 0:
        return 0.0
    if losses[0] > _LARGEST_LOSS:
        return float(mass.get_epsilon_for_delta(delta))
    return _solved(losses, np.flip(mass._probs[first:]), mass._infinity_mass, delta)


def _solved(losses: Floats, probs: Floats, infinite: float, delta: float) -> float:
    """ε between the neighbouring losses (falling, positive) where the divergence passes delta.

    For ε just below losses[i] it is upper[i] − exp(ε)·lower[i]: linear in exp(ε).
    """
    upper = infinite + np.cumsum(probs)
    lower = np.cumsum(probs * np.exp(-losses))
    until = np.append(losses[1:], 0.0)
    passed = np.flatnonzero(upper - np.exp(until) * lower > delta)
    if passed.size == 0:
        return 0.0
    at = passed[0]
    return max(0.0, math.log((upper[at] - delta) / lower[at]))
