"""The privacy loss of one step: where it lies, how it spreads, what falls between two losses.

The loss of removing a unit is log f(z) with z drawn where the unit is present (a Binomial mixture
of Gaussians); of adding one, −log f(z) with z drawn where it is absent. f rises with z, so that
every set of losses is an interval of z.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from accounting.dp.sampling import Floats, log_binomial, log_likelihood_ratio, log_mixed

REACH = 10.0  # standard deviations; beyond lies a mass of 8e-24
MOST_LOSS = 600.0  # exp of it is a float; losses beyond count as infinite
RATES = 2.0 ** np.arange(-5, 18)
ORDERS: Floats = np.concatenate((-RATES[::-1], RATES))
"""The λ at which log E[exp(λ·loss)] is known."""

_OUTSIDE = float(ndtr(-REACH))
_MOST_POINTS = 2**20  # times the rows of a unit
_NEWTON_STEPS = 50
_CLOSE = 1e-13


class Step(NamedTuple):
    """What decides the loss of one step: noise multiplier, sample rate, rows of one unit."""

    noise: float
    rate: float
    rows: int


@dataclass(frozen=True)
class Profile:
    """The spread of one step's loss: its variance when removing a unit, its moments both ways.

    One array, for the profiles of a history to be added up at once: the variance; for removing
    and adding the logarithm of the probability of a loss below the end of `reach` (what lies
    above counts as infinite); for both the moments, len(ORDERS) each.
    """

    sums: Floats

    @property
    def variance(self) -> float:
        """Of the loss of removing a unit."""
        return float(self.sums[0])

    @property
    def log_finite(self) -> Floats:
        """Shape (2,): removing, adding."""
        return self.sums[1:3]

    @property
    def moments(self) -> Floats:
        """Shape (2, len(ORDERS)): removing, adding."""
        return self.sums[3:].reshape(2, -1)


@lru_cache(maxsize=4096)
def profile(step: Step) -> Profile:
    """By the trapezoid rule, which converges geometrically: the integrands are analytic.

    Raises OverflowError where there is so little noise that ε is beyond all use anyway.
    """
    low, high = -REACH * step.noise, step.rows + REACH * step.noise
    width = min(step.noise / 5, max(step.noise**2 / 2, step.noise / 40))
    points = math.ceil((high - low) / width)
    if points * step.rows > _MOST_POINTS:
        raise OverflowError(f"noise {step.noise:g} for {step.rows} rows needs {points} points")
    z = np.linspace(low, high, points)
    absent = -0.5 * (z / step.noise) ** 2
    absent -= math.log(np.exp(absent).sum())
    loss = log_likelihood_ratio(z, *step)
    present = absent + loss
    weights = np.exp(present)
    mean = float(weights @ loss)
    variance = float(weights @ (loss - mean) ** 2)
    finite = np.log1p([-_beyond(step, adding=False), -_beyond(step, adding=True)])
    removing, adding = _log_moments(loss, present), _log_moments(-loss, absent)
    sums = np.concatenate(([variance], finite, removing, adding))
    sums.flags.writeable = False
    return Profile(sums)


def _beyond(step: Step, *, adding: bool) -> float:
    """At least the mass above the end of `reach`: of z beyond REACH, unless that is not where."""
    top = reach(step, adding=adding)[1]
    if top < MOST_LOSS:
        return _OUTSIDE
    return float(between(step, np.array([top]), adding=adding)[0][-1])


def _log_moments(loss: Floats, log_weights: Floats) -> Floats:
    exponents = np.multiply.outer(ORDERS, loss) + log_weights
    largest = exponents.max(axis=1)
    found: Floats = largest + np.log(np.exp(exponents - largest[:, None]).sum(axis=1))
    return found


def added(counts: Sequence[tuple[Step, int]]) -> Profile:
    """The profile of all steps together: independent losses add, and so does all it holds."""
    rows = np.concatenate([profile(step).sums for step, _ in counts]).reshape(len(counts), -1)
    return Profile(np.array([count for _, count in counts], dtype=float) @ rows)


@lru_cache(maxsize=8192)
def reach(step: Step, *, adding: bool) -> tuple[float, float]:
    """The losses between which all but a negligible mass lies."""
    top = REACH * step.noise if adding else step.rows + REACH * step.noise
    low, high = log_likelihood_ratio(np.array([-REACH * step.noise, top]), *step)
    low, high = (-high, -low) if adding else (low, high)
    return max(float(low), -MOST_LOSS), min(float(high), MOST_LOSS)


def between(step: Step, losses: Floats, *, adding: bool) -> tuple[Floats, Floats]:
    """What falls below, between and above rising `losses`: len(losses) + 1 pairs of masses.

    The first array is the mass where the loss is defined (the unit present when removing, absent
    when adding), the second the mass under the alternative.
    """
    if adding:
        present, absent = _masses(step, located(step, -losses[::-1]))
        return absent[::-1], present[::-1]
    return _masses(step, located(step, losses))


def located(step: Step, losses: Floats) -> Floats:
    """The z at which log f(z) is each of rising `losses`; −inf where it is always larger."""
    if step.rate == 1.0:
        return losses * step.noise**2 + 0.5
    if step.rows == 1:
        unsampled = log_mixed(1.0 / step.rate, losses)
        return np.where(np.isfinite(unsampled), unsampled, -np.inf) * step.noise**2 + 0.5
    return _searched(step, losses)


def _searched(step: Step, losses: Floats) -> Floats:
    """By Newton's rule from a table: log f is convex and rises, so it converges from above."""
    edge = (REACH + 2.0) * step.noise
    table = np.linspace(-edge, step.rows + edge, 1024)
    known = np.maximum.accumulate(log_likelihood_ratio(table, *step))
    z = np.interp(losses, known, table)
    inside = (losses > known[0]) & (losses < known[-1])
    moving = np.flatnonzero(inside)
    for _ in range(_NEWTON_STEPS):
        off, slope = _off(step, z[moving], losses[moving])
        change = np.clip(off / slope, -1.0, 1.0)
        z[moving] -= change
        moving = moving[np.abs(change) > _CLOSE * (1.0 + np.abs(z[moving]))]
        if not moving.size:
            break
    z[losses <= known[0]] = -np.inf
    z[losses >= known[-1]] = np.inf
    return np.maximum.accumulate(z)


def _off(step: Step, z: Floats, losses: Floats) -> tuple[Floats, Floats]:
    taken = np.arange(step.rows + 1)[:, None]
    found = log_likelihood_ratio(z, *step)
    shares = log_binomial(step.rows, step.rate)[:, None]
    shares = shares + taken * (2 * z - taken) / (2 * step.noise**2) - found
    slope = (np.exp(shares) * taken).sum(axis=0) / step.noise**2
    return found - losses, np.maximum(slope, 1e-300)


def _masses(step: Step, z: Floats) -> tuple[Floats, Floats]:
    """The masses of z between the bounds, with the unit present and absent."""
    absent = _gaussian(z / step.noise)
    if step.rows == 1:
        present = _gaussian((z - 1.0) / step.noise)
        return step.rate * present + (1.0 - step.rate) * absent, absent
    weights = np.exp(log_binomial(step.rows, step.rate))
    each = [_gaussian((z - taken) / step.noise) for taken in range(step.rows + 1)]
    return (weights / weights.sum()) @ np.array(each), absent


def _gaussian(bounds: Floats) -> Floats:
    """Standard normal masses below, between and above rising bounds; tails keep their digits."""
    left = bounds < 0.0
    tails = ndtr(-np.abs(bounds))
    signed = np.where(left, tails, -tails)
    masses = np.empty(bounds.size + 1)
    masses[0], masses[1:] = 0.0, -signed
    masses[:-1] += signed
    # The one cell with 0 inside: there a mass is what the tails of both sides leave.
    masses[np.count_nonzero(left)] += 1.0
    return np.maximum(masses, 0.0)
