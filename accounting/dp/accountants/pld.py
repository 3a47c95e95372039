"""The reference accountant: privacy loss distributions, discretised, composed by FFT, our own.

Every figure of a sealed plan comes from here. It is an upper bound on ε for a history whose
parameters were fixed beforehand (not a filter under full adaptivity, arXiv 2602.06756), and
`low` a lower bound: the truth lies between.
"""

import math
from collections.abc import Sequence

from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from accounting.dp import compositions, lattices
from accounting.dp.events import PrivacyEvent, prices
from accounting.dp.figures import Figure, Unbounded, bounded, check_delta
from accounting.dp.lattices import Counts, Window
from accounting.dp.losses import Step
from accounting.dp.masses import origin
from accounting.dp.readings import Reading, tails

_ROUNDING = 8e-15
"""What the rounding of floats may do to δ, times √steps: four times what was measured against
80-bit arithmetic, from 1000 to ten million steps."""


_MOST_SIZE = 1e6  # of full batches together; beyond, the digits of their closed form are gone


class PldAccountant:
    """Connect the dots, pessimistic, adding and removing a unit; optimistic for `low`."""

    name = "pld"
    version = "cloister 2 (PLD)"
    discretisation = "connect the dots, interval at most 1/16 of a step's standard deviation"
    error = "certified: the truth lies between low and epsilon, as a rule 1e-3 of epsilon apart"

    def epsilon(self, events: Sequence[PrivacyEvent], delta: float) -> Figure:
        """See `Accountant`."""
        return self.figure(counted(events), check_delta(delta))

    def figure(self, counts: Counts, delta: float, window: Window | None = None) -> Figure:
        """The ε of merged steps, on a window of their own unless one is given. Raises Unbounded."""
        low, high = interval(counts, delta, window)
        return Figure(
            epsilon=bounded(high, self.name),
            delta=delta,
            accountant=self.name,
            version=self.version,
            discretisation=self.discretisation,
            low=min(low, high),
        )


def counted(events: Sequence[PrivacyEvent]) -> Counts:
    """Steps and how many of each, merged and in one order.

    On a full batch k rows of a unit are one row of k clips.
    """
    found: dict[Step, int] = {}
    for noise, rate, rows, steps in prices(events):
        step = Step(noise / rows, rate, 1) if rate == 1.0 else Step(noise, rate, rows)
        found[step] = found.get(step, 0) + steps
    return tuple(sorted(found.items()))


def interval(counts: Counts, delta: float, window: Window | None = None) -> tuple[float, float]:
    """Certified (low, high) around ε. Raises Unbounded."""
    if all(step.rate == 1.0 for step, _ in counts):
        return _of_full_batches(counts, delta)
    try:
        window = window or lattices.window(counts)
        removing, adding, optimistic = _readings(counts, window)
        high = removing.epsilon(delta, window.bound(delta))
        low = optimistic.epsilon(delta, high) if math.isfinite(high) else 0.0
        if adding.delta(high) > delta:
            high = max(high, adding.epsilon(delta, window.bound(delta)))
    except (ArithmeticError, MemoryError, ValueError) as error:
        raise Unbounded(
            f"the pld accountant could not compose this history ({error}); use more noise or "
            "fewer steps, or ask the rdp accountant for an upper bound"
        ) from error
    return low, high


def _readings(counts: Counts, window: Window) -> tuple[Reading, Reading, Reading]:
    """Of removing, of adding, and of the optimistic counterpart of removing."""
    lattice = window.lattice
    interval, cells = lattice.interval, lattice.cells
    rows = compositions.composed(counts, lattice).values()
    shift = math.fsum(count * origin(step, interval)[1] for step, count in counts)
    lowest = (*window.lowest, window.lowest[0] - math.ceil(shift / interval))
    rounding = _ROUNDING * math.sqrt(sum(count for _, count in counts))
    remove, add = (each + lattices.TAIL + rounding for each in window.infinite)
    extras, shifts = (remove, add, -2 * lattices.TAIL - rounding), (0.0, 0.0, shift)
    made = [
        Reading(tails(row, cells, interval, low), interval, low, low + cells - 1, extra, moved)
        for row, low, extra, moved in zip(rows, lowest, extras, shifts, strict=True)
    ]
    return made[0], made[1], made[2]


def _of_full_batches(counts: Counts, delta: float) -> tuple[float, float]:
    """Releases of noise σ₁, σ₂, … of everybody are exactly one of (Σ σᵢ⁻²)^(−1/2).

    Its ε by Balle and Wang 2018 (arXiv 1805.06530), theorem 8.
    """
    size = math.sqrt(math.fsum(n / s.noise**2 for s, n in counts))
    if size == 0.0 or 2 * ndtr(size / 2) - 1 <= delta:
        return 0.0, 0.0

    if size > _MOST_SIZE:
        raise Unbounded("the pld accountant could not bound epsilon: it is beyond 1e11; add noise")

    def excess(epsilon: float) -> float:
        above = ndtr(size / 2 - epsilon / size)
        return float(above - math.exp(epsilon + log_ndtr(-size / 2 - epsilon / size)) - delta)

    top = size * (size / 2 + math.sqrt(-2 * math.log(delta)))
    found = brentq(excess, 0.0, top, xtol=1e-12)
    error = 1e-9 * max(1.0, size)
    return max(0.0, float(found) - error), float(found) + error
