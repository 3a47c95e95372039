"""A plan priced within a redraw: by Rényi divergence at a few orders, from above.

The reference accountant takes seconds for many rare losses or very many steps. A page cannot wait
for that, and must not show a guess: what stands here is proven, only with more noise than need be.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np

from accounting.dp.accountants import rdp
from accounting.dp.calibration import LEAST_NOISE, MOST_NOISE, rounded_up, unreachable
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.figures import Figure, bounded, check_delta
from accounting.dp.levels import lowered
from accounting.dp.moments import at_tilts
from accounting.dp.saddle import Rounds, scale_by_renyi
from accounting.dp.sampling import Floats

LEVELS = 24  # different noises at most; more are lowered into so many groups
_FEW = [1.1, 1.3, 1.6, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 32, 40, 48]
_INDICES = np.flatnonzero(np.isin(rdp.ORDERS, [*_FEW, 64, 96, 128, 256, 512, 1024]))
ORDERS: Floats = rdp.ORDERS[_INDICES]
_AIM, _STEEP, _TRIES = 0.9995, 1.2, 8


def after(
    rounds: Sequence[tuple[PrivacyEvent, ...]],
    delta: float,
    listed: Collection[int],
    before: Sequence[PrivacyEvent] = (),
) -> tuple[Figure, ...]:
    """The figure of `before` and of the first n rounds, for each n of `listed`, ascending.

    Raises Unbounded.
    """
    check_delta(delta)
    total, done, found = _spent(tuple(before)), 0, []
    for number in sorted(listed):
        for events, count in Counter(rounds[done:number]).items():
            total = total + count * _spent(events)
        found.append(_figure(total, delta))
        done = number
    return tuple(found)


def alone(event: PrivacyEvent, delta: float) -> Figure:
    """The figure of one release. Raises Unbounded."""
    return _figure(_spent((event,)), check_delta(delta))


def noise(rounds: Rounds, target: float, delta: float) -> tuple[float, ...]:
    """Noise multipliers, one per round, of which this accountant proves the target.

    Raises CalibrationError where no noise reaches it.
    """
    levels = lowered(rounds.shape, LEVELS, LEVELS)
    few = Rounds(
        tuple(levels[factor] for factor in rounds.shape),
        rounds.sample_rate,
        rounds.steps,
        rounds.fixed,
    )
    ends = (LEAST_NOISE / min(few.shape), MOST_NOISE)
    scale = scale_by_renyi(few, _AIM * target, delta, ORDERS - 1.0, ends)
    for _ in range(_TRIES):
        found = tuple(rounded_up(scale * factor) for factor in rounds.shape)
        spent = _whole(rounds, found, delta)
        if spent <= target:
            return found
        if scale >= MOST_NOISE:
            break
        scale = min(MOST_NOISE, scale * (spent / (_AIM * target)) ** (1 / _STEEP))
    raise unreachable(target)


def _whole(rounds: Rounds, noises: tuple[float, ...], delta: float) -> float:
    levels, kind = lowered(noises, LEVELS, LEVELS), Mechanism.POISSON_GAUSSIAN
    events = [
        PrivacyEvent(kind, level, rounds.sample_rate, rounds.steps * count)
        for level, count in Counter(map(levels.__getitem__, noises)).items()
    ]
    return _figure(_spent((*rounds.fixed, *events)), delta).epsilon


def _figure(divergences: Floats, delta: float) -> Figure:
    best = float(np.min(rdp.to_epsilons(divergences, delta, ORDERS)))
    return Figure(
        bounded(best, "rdp"),
        delta,
        "rdp",
        rdp.RdpAccountant.version,
        f"{len(ORDERS)} orders from {ORDERS.min():g} to {ORDERS.max():g}",
    )


def _spent(events: tuple[PrivacyEvent, ...]) -> Floats:
    total = np.zeros_like(ORDERS)
    for event in events:
        one = _curve(event.noise_multiplier, event.sample_rate, event.rows_per_unit)
        total += event.steps * one
    return total


@lru_cache(maxsize=4096)
def _curve(noise_multiplier: float, rate: float, rows: int) -> Floats:
    """Rényi divergence of one step at each of `ORDERS`."""
    if rows == 1:
        found: Floats = at_tilts(noise_multiplier, rate, ORDERS - 1.0) / (ORDERS - 1.0)
    else:
        found = rdp.curve(noise_multiplier, rate, rows)[_INDICES]
    return found
