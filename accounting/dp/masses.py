"""One step's loss on a lattice: never less than it is, and, for the lower end, never more.

Pessimistic: "Connect the Dots" (Doroshenko et al. 2022, arXiv 2207.04380): the hockey-stick
divergence, convex in exp(ε), is replaced by its chords between lattice points. Optimistic: by its
tangents at the middles between them. A curve above (below) it stays above (below) it under
composition, so both ends of the figure are certain. Points lie on the lattice, closest together
around 0; far out the steps widen in proportion to the loss.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accounting.dp.losses import Step, between, reach
from accounting.dp.sampling import Floats

Indices = NDArray[np.int64]

_DENSE = 192  # lattice points around 0 without gaps; beyond, gaps of 1/192 to 1/96 of the loss
_TRIED = np.arange(0.0, 4.0, 1 / 16)  # intervals above the lowest point, for its bin to end at
_PASSES = 1000


@dataclass(frozen=True)
class Mass:
    """Masses at loss = index · interval; what `losses.reach` leaves out above is left out."""

    indices: Indices
    masses: Floats


def pessimistic(step: Step, interval: float, *, adding: bool) -> Mass:
    """A loss that dominates the true one."""
    indices = _indices(step, interval, adding=adding)
    points = indices * interval
    mass, other = between(step, points, adding=adding)
    cells, others = mass[1:-1], other[1:-1]
    right = (cells - np.exp(points[:-1]) * others) / -np.expm1(-np.diff(points))
    right = np.clip(right, 0.0, cells)
    at = np.zeros(points.size)
    at[0] = mass[0]
    at[:-1] += cells - right
    at[1:] += right
    return Mass(indices, at)


def optimistic(step: Step, interval: float) -> Mass:
    """A loss that the true one, of removing a unit, dominates; masses may sum to less than 1.

    Each point gathers a bin of losses around it. Its excess, mass − exp(loss) · other mass, says
    by how much the tangents of both sides miss each other at the point; the lower one is taken,
    which moves a little mass to the neighbours.
    """
    indices, bins, others = _bins(step, interval)
    points = indices * interval
    excess = bins - np.exp(points) * others
    over, under = np.maximum(excess, 0.0), np.maximum(-excess, 0.0)
    gaps = np.diff(points)
    at = bins - excess
    at[:-1] -= (over[1:] - under[:-1]) / np.expm1(gaps)
    at[1:] += (over[1:] - under[:-1]) / -np.expm1(-gaps)
    return Mass(indices, _without_negatives(at, np.exp(gaps)))


def _bins(step: Step, interval: float) -> tuple[Indices, Floats, Floats]:
    """Points and the two masses of their bins, which meet half-way between neighbours.

    But the lowest: sampling bounds the loss from below, and a bin at that edge whose losses lie
    above its point on average could only be lowered by losing mass. It ends where they do not.
    """
    low, _ = reach(step, adding=False)
    indices = _indices(step, interval, adding=False)
    indices = indices[indices > low / interval + 0.5]
    points = indices * interval
    middles = (points[:-1] + points[1:]) / 2
    bounds = np.union1d(points[0] + interval * _TRIED, middles)
    mass, other = between(step, bounds, adding=False)
    excess = np.cumsum(mass) - np.exp(points[0]) * np.cumsum(other)
    end = max(int(np.argmax(excess[:-1] > 0.0)) - 1, 0)
    rest = points >= bounds[end]
    rest[0] = False
    ends = np.searchsorted(bounds, middles[rest[:-1]])
    starts = np.concatenate(([0], [end + 1], ends + 1))
    kept = np.concatenate((indices[:1], indices[rest]))
    return kept, np.add.reduceat(mass, starts), np.add.reduceat(other, starts)


def _without_negatives(at: Floats, growth: Floats) -> Floats:
    """Where the curve is not convex, lower it until it is: cancel against the next point's mass."""
    for _ in range(_PASSES):
        lacking = np.minimum(at, 0.0)
        if not lacking.any():
            break
        at = at - lacking
        at[1:] += lacking[:-1] * growth
    return np.maximum(at, 0.0)


def _indices(step: Step, interval: float, *, adding: bool) -> Indices:
    low, high = reach(step, adding=adding)
    first, last = int(np.floor(low / interval)) - 1, int(np.ceil(high / interval)) + 1
    below = -_ladder(-min(first, 0))[::-1]
    above = _ladder(max(last, 0))
    found = np.concatenate((below[:-1], above))
    found = found[(found >= first) & (found <= last)]
    return np.union1d(found, [first, last])


def _ladder(last: int) -> Indices:
    """0, 1, 2, … and, from _DENSE on, every 2nd, then every 4th, … as far as `last`."""
    parts, start, gap = [np.arange(0, min(last, _DENSE) + 1)], _DENSE, 2
    while start < last:
        parts.append(np.arange(start + gap, min(2 * start, last) + 1, gap))
        start, gap = 2 * start, 2 * gap
    return np.concatenate(parts)
