"""Where the reference accountant takes seconds: the same, certain, on a coarser lattice.

Little noise at a small sample rate makes losses that are nearly always tiny and rarely large, and
many different noises then cost a transform of a million cells each. Nothing official comes from
here: it is for searching, and for plans that are being written.
"""

import math
from collections.abc import Sequence

from accounting.dp import accountants, lattices
from accounting.dp.accountants.pld import PldAccountant, counted
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure, check_delta
from accounting.dp.lattices import Counts, Window

_CELLS = 2**16
_PER_ROOT = 24.0  # cells for the root of the steps: rounding spreads that many losses over 18
_MOST_WORK = 2**21  # cells, times kinds of steps


def is_slow(counts: Counts) -> bool:
    """Whether the reference accountant's own figure of these steps takes seconds."""
    if all(step.rate == 1.0 for step, _ in counts):
        return False
    try:
        cells = lattices.window(counts).lattice.cells
    except (ArithmeticError, ValueError):
        return False
    return cells > _cells(counts) and cells * len(counts) > _MOST_WORK


def window(counts: Counts) -> Window:
    """Their own, unless that is slow. Raises OverflowError where nothing holds the losses."""
    return lattices.window(counts, _cells(counts)) if is_slow(counts) else lattices.window(counts)


def epsilon(events: Sequence[PrivacyEvent], delta: float) -> Figure:
    """The reference accountant's figure, or one that is never below it. Raises the same."""
    counts = counted(events)
    if not is_slow(counts):
        return accountants.epsilon(events, delta)
    return PldAccountant().figure(counts, check_delta(delta), window(counts))


def _cells(counts: Counts) -> int:
    steps = sum(count for _, count in counts)
    least = 2 ** math.ceil(math.log2(_PER_ROOT * math.sqrt(steps)))
    return min(max(_CELLS, least), lattices.MOST_CELLS)
