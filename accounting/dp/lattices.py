"""How finely, and how widely, the loss of a whole history has to be drawn."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from accounting.dp.losses import ORDERS, RATES, Profile, Step, added
from accounting.dp.sampling import Floats

Counts = tuple[tuple[Step, int], ...]

TAIL = 1e-16
"""The mass beyond either end of a window, by Chernoff's bound."""

_PER_STEP = 16.0  # intervals in one standard deviation of a step's loss, at least
_PER_HISTORY = 192.0  # and in one of the whole history's
MOST_CELLS = 2**20
_LEAST_INTERVAL, _LARGEST_INTERVAL = 2.0**-36, 0.5


@dataclass(frozen=True)
class Lattice:
    """Losses are multiples of `interval`; `cells` of them, a ring, hold all that is likely."""

    interval: float
    cells: int


@dataclass(frozen=True)
class Window:
    """A lattice and, for removing and for adding, where it begins and what it leaves out.

    `lowest` are the indices of the lowest cells, `infinite` the probabilities of a loss beyond
    what is drawn, `moments` those of the whole history.
    """

    lattice: Lattice
    lowest: tuple[int, int]
    infinite: tuple[float, float]
    moments: Floats

    def bound(self, delta: float) -> float:
        """An upper bound on ε at delta, from the moments of both directions."""
        rising = self.moments[:, len(RATES) :]
        return float(((rising - math.log(delta)) / RATES).min(axis=1).max())


@lru_cache(maxsize=512)
def window(counts: Counts, most_cells: int = MOST_CELLS) -> Window:
    """The lattice for a merged history, and where its window lies.

    Rounding to a lattice adds a variance of interval²/6 a step: the interval is chosen from the
    losses' own spread, so that this is the same small share at every sample rate. Intervals and
    sizes are powers of 2, for neighbouring histories to share what is computed.

    Fewer cells than it wants: a coarser figure, still certain, in less time.

    Raises OverflowError where no window of so many cells can hold the losses.
    """
    whole, steps = added(counts), float(sum(count for _, count in counts))
    deviation = math.sqrt(whole.variance)
    interval = _laddered(min(deviation / math.sqrt(steps) / _PER_STEP, deviation / _PER_HISTORY))
    while interval <= _LARGEST_INTERVAL:
        found, cells = _placed(whole, steps, interval)
        if cells <= most_cells:
            return found
        interval *= 2.0 ** math.ceil(math.log2(cells / most_cells))
    raise OverflowError("its losses are larger than any grid that fits in memory")


def within(counts: Counts, lattice: Lattice) -> Window:
    """The window of a merged history on the lattice of a longer one, which shares its transforms.

    Raises OverflowError where the losses reach farther than that lattice.
    """
    steps = float(sum(count for _, count in counts))
    found, cells = _placed(added(counts), steps, lattice.interval)
    if cells > lattice.cells:
        raise OverflowError(f"its losses fill {cells} cells, the lattice has {lattice.cells}")
    return replace(found, lattice=lattice)


def _placed(whole: Profile, steps: float, interval: float) -> tuple[Window, int]:
    """The window on the lattice of an interval, and how many cells it fills."""
    drawn = whole.moments + steps * _spread_by_rounding(interval)
    low, high = _ends(drawn)
    lowest = np.floor(low / interval).astype(int) - 1
    cells = int(np.max(np.ceil(high / interval) + 1 - lowest))
    infinite = -np.expm1(whole.log_finite)
    lattice = Lattice(interval, 2 ** max(8, math.ceil(math.log2(max(cells, 1)))))
    return Window(lattice, tuple(lowest.tolist()), tuple(infinite.tolist()), drawn), cells


def _spread_by_rounding(interval: float) -> Floats:
    """What rounding adds to log E[exp(λ·loss)] of a step, by Hoeffding's lemma.

    The rounding error R of a step stays within `interval` and has E[exp(−R)] = 1.
    """
    return np.where(ORDERS > 0, ORDERS * (ORDERS + 1), ORDERS**2) * interval**2 / 8


def _ends(moments: Floats) -> tuple[Floats, Floats]:
    """Losses below, and above, which lies at most TAIL, for removing and for adding."""
    falling, rising = np.split(moments, 2, axis=1)
    high = ((rising - math.log(TAIL)) / RATES).min(axis=1)
    low = -((falling - math.log(TAIL)) / RATES[::-1]).min(axis=1)
    return low, high


def _laddered(interval: float) -> float:
    """The next power of 2 below."""
    return 2.0 ** math.floor(math.log2(max(interval, _LEAST_INTERVAL)))
