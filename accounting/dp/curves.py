"""ε after each of several rounds of one plan, for little more than the last one costs.

The rounds are composed one after the other on the lattice of the whole plan, so every step is
transformed once. Certified like any figure of the reference accountant, of which it uses all but
the choice of the lattice; for the early rounds that may be a little coarser than their own.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from accounting.dp import compositions, lattices, quick
from accounting.dp.accountants import epsilon
from accounting.dp.accountants.pld import PldAccountant
from accounting.dp.events import PrivacyEvent, priced
from accounting.dp.figures import Figure, check_delta
from accounting.dp.lattices import Counts, Lattice
from accounting.dp.losses import Step, added

_CELLS = 64.0  # in a standard deviation; a lattice of one's own has at least 192


def composed_after(
    rounds: Sequence[Sequence[PrivacyEvent]],
    delta: float,
    listed: Collection[int],
    before: Sequence[PrivacyEvent] = (),
) -> tuple[Figure, ...]:
    """The figure of `before` and of the first n rounds, for each n of `listed`, ascending.

    The last of all rounds is the reference accountant's own figure, to the last bit; where that
    takes seconds, an upper bound like the others. Raises as `accountants.epsilon`.
    """
    check_delta(delta)
    every = _merged(_counted((*before, *chain.from_iterable(rounds))))
    lattice, slow = _lattice(every), quick.is_slow(every)
    steps, grown, found = _counted(before), None, []
    for number, events in enumerate(rounds, 1):
        steps.update(_counted(events))
        if number not in listed:
            continue
        if lattice is not None:
            grown = compositions.composed(_merged(steps), lattice, grown)
        own = not slow and (number == len(rounds) or _too_coarse(steps, lattice))
        found.append(_figure(steps, delta, None if own else lattice))
    return tuple(found)


def _too_coarse(steps: Counter[Step], lattice: Lattice | None) -> bool:
    """Whether the first rounds' losses spread over too few cells of the whole plan's lattice."""
    if lattice is None:
        return True
    return lattice.interval * _CELLS > math.sqrt(added(_merged(steps)).variance)


def alone(
    rounds: Sequence[Sequence[PrivacyEvent]], delta: float, some: Sequence[PrivacyEvent]
) -> tuple[Figure, ...]:
    """The figure of each of `some` by itself, on the lattice of all rounds, whose steps they are.

    From above, and less tight than on their own. Raises as `accountants.epsilon`.
    """
    check_delta(delta)
    lattice = _lattice(_merged(_counted(chain.from_iterable(rounds))))
    return tuple(_figure(_counted([event]), delta, lattice) for event in some)


def _figure(steps: Counter[Step], delta: float, lattice: Lattice | None) -> Figure:
    """On that lattice; where there is none, or the losses reach farther, on their own."""
    counts = _merged(steps)
    if lattice is None:
        return epsilon(_events(counts), delta)
    try:
        window = lattices.within(counts, lattice)
    except OverflowError:
        return epsilon(_events(counts), delta)
    return PldAccountant().figure(counts, delta, window)


def _lattice(counts: Counts) -> Lattice | None:
    """The lattice of everything; None where nothing is sampled, or nothing can hold it."""
    if all(step.rate == 1.0 for step, _ in counts):
        return None
    try:
        return quick.window(counts).lattice
    except (ArithmeticError, ValueError):
        return None


def _counted(events: Iterable[PrivacyEvent]) -> Counter[Step]:
    found: Counter[Step] = Counter()
    for event in events:
        found[Step(event.noise_multiplier, event.sample_rate, event.rows_per_unit)] += event.steps
    return found


def _merged(steps: Counter[Step]) -> Counts:
    return tuple(sorted(steps.items()))


def _events(counts: Counts) -> tuple[PrivacyEvent, ...]:
    return priced((*step, count) for step, count in counts)
