"""One step's loss on a lattice: never less than it is, and, for the lower end, never more.

Pessimistic: "Connect the Dots" (Doroshenko et al. 2022, arXiv 2207.04380): the hockey-stick
divergence, convex in exp(ε), is replaced by its chords between lattice points. Optimistic: by its
tangents at the middles between them. A curve above (below) it stays above (below) it under
composition, so both ends of the figure are certain. Points lie on the lattice, closest together
around 0; far out the steps widen in proportion to the loss.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from accounting.dp.losses import Step, between, profile, reach
from accounting.dp.sampling import Floats

Indices = NDArray[np.int64]

_DENSE = 192  # lattice points around 0 without gaps; beyond, gaps of 1/192 to 1/96 of the loss
_MOST = 2**31
_PASSES = 1000


def _ladder() -> Indices:
    """0, 1, 2, … and, from _DENSE on, every 2nd, then every 4th, …, mirrored."""
    parts, start, gap = [np.arange(1, _DENSE + 1)], _DENSE, 2
    while start < _MOST:
        parts.append(np.arange(start + gap, 2 * start + 1, gap))
        start, gap = 2 * start, 2 * gap
    above = np.concatenate(parts)
    return np.concatenate((-above[::-1], [0], above))


LADDER = _ladder()
"""The lattice points at which a step's mass is drawn."""


@dataclass(frozen=True)
class Mass:
    """Masses at LADDER[start + i] · interval; what `losses.reach` leaves out is left out."""

    start: int
    masses: Floats


def pessimistic(step: Step, interval: float) -> tuple[Mass, Mass]:
    """Losses that dominate the true ones, of removing a unit and of adding one.

    The ladder is the same from both sides, so one drawing of z serves both.
    """
    removing = _places(step, interval, adding=False)
    if step.rate == 1.0:
        adding, every = removing, removing
    else:
        adding = _places(step, interval, adding=True)
        mirrored = _mirrored(adding)
        every = slice(min(removing.start, mirrored.start), max(removing.stop, mirrored.stop))
    present, absent = between(step, _losses(every, interval), adding=False)
    remove = _chorded(removing, interval, present, absent, removing.start - every.start)
    if step.rate == 1.0:
        return remove, remove
    ahead = adding.start - _mirrored(every).start
    return remove, _chorded(adding, interval, absent[::-1], present[::-1], ahead)


def _chorded(places: slice, interval: float, masses: Floats, others: Floats, ahead: int) -> Mass:
    """The mass at `places` of bins of which the first `ahead` + 1 lie below the first place."""
    points = _losses(places, interval)
    inside = slice(ahead + 1, ahead + points.size)
    cells = masses[inside]
    right = (cells - np.exp(points[:-1]) * others[inside]) / -np.expm1(-np.diff(points))
    right = np.minimum(np.maximum(right, 0.0), cells)
    at = np.zeros(points.size)
    at[0] = masses[: ahead + 1].sum()
    at[:-1] += cells - right
    at[1:] += right
    return Mass(places.start, at)


def _losses(places: slice, interval: float) -> Floats:
    return np.asarray(LADDER[places] * interval, np.float64)


def _mirrored(places: slice) -> slice:
    """The places of the same losses with the other sign."""
    return slice(LADDER.size - places.stop, LADDER.size - places.start)


def optimistic(step: Step, interval: float) -> Mass:
    """A loss that the true one, of removing a unit, dominates; masses may sum to less than 1.

    Its points are shifted by `origin`. Each gathers a bin of losses around it, whose excess, mass
    − exp(loss) · other mass, says by how much the tangents of both sides miss each other at the
    point; the lower one is taken, which moves a little mass to the neighbours.
    """
    start, shift = origin(step, interval)
    if _is_narrow(step, interval):
        return Mass(start, np.ones(1))
    places = slice(start, max(_places(step, interval, adding=False).stop, start + 3))
    points = _losses(places, interval) + shift
    edge = reach(step, adding=False)[0] + interval
    bounds = np.concatenate(([edge], (points[1:-1] + points[2:]) / 2))
    bins, others = between(step, bounds, adding=False)
    return Mass(start, _below(points, bins, others))


def _below(points: Floats, bins: Floats, others: Floats) -> Floats:
    """Masses at the points whose curve is below that of the bins' masses, and convex."""
    ratios = np.exp(points)
    excess = bins - ratios * others
    above, others_above = _summed_above(bins), _summed_above(others)
    under = np.maximum(-excess, 0.0)
    heights = above - ratios * others_above - under
    moved = np.maximum(excess[1:], 0.0) - under[:-1]
    # Below 0 no divergence is: from the point before it would be, the curve is 0.
    end = int(np.argmax(np.append(heights[1:], -1.0) < 0.0))
    level = ratios[end] * (others[end] + others_above[end])
    at = np.append((ratios * others)[:end], level)
    gaps = np.diff(points[: end + 1])
    if end and end < points.size - 1:
        width = ratios[end] - ratios[end - 1]
        moved[end - 1] = heights[end - 1] - width * others_above[end - 1]
    at[:-1] -= moved[:end] / np.expm1(gaps)
    at[1:] += moved[:end] / -np.expm1(-gaps)
    return _without_negatives(at, np.exp(gaps))


def _summed_above(values: Floats) -> Floats:
    """For each the sum of those behind it."""
    return np.append(np.cumsum(values[:0:-1])[::-1], 0.0)


@lru_cache(maxsize=8192)
def origin(step: Step, interval: float) -> tuple[int, float]:
    """The lowest place of the optimistic mass, and by how much all its points are shifted.

    Sampling bounds the loss from below. Mass at that edge which lies off its point on average
    could only be moved at the price of mass elsewhere; so the points are laid through it: the
    first gathers one interval from the edge on, and is where that lies on average.
    """
    if _is_narrow(step, interval):
        return LADDER.size // 2, 0.0
    low = reach(step, adding=False)[0]
    mass, other = between(step, np.array([low + interval]), adding=False)
    middle = math.log(mass[0] / other[0]) if min(mass[0], other[0]) > 0 else low + interval / 2
    place = int(np.searchsorted(LADDER, middle / interval - 0.5))
    return place, middle - float(LADDER[place]) * interval


def _is_narrow(step: Step, interval: float) -> bool:
    """Whether the loss is so small that, optimistically, no loss at all is the closest."""
    return profile(step).variance < interval**2


def _without_negatives(at: Floats, growth: Floats) -> Floats:
    """Where the curve is not convex, lower it until it is: cancel against the next point's mass."""
    for _ in range(_PASSES):
        lacking = np.minimum(at, 0.0)
        if not lacking.any():
            break
        at = at - lacking
        at[1:] += lacking[:-1] * growth
    return np.maximum(at, 0.0)


def _places(step: Step, interval: float, *, adding: bool) -> slice:
    """The points from the last one below all losses to the first one above them."""
    low, high = reach(step, adding=adding)
    first = int(np.searchsorted(LADDER, low / interval, side="left")) - 1
    last = int(np.searchsorted(LADDER, high / interval, side="right"))
    if first < 0 or last >= LADDER.size:
        raise OverflowError(f"one step's loss reaches {max(high, -low) / interval:.0f} intervals")
    return slice(first, last + 1)
