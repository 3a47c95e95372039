"""What still fits the Rényi filter of a budget: round by round, at the order sealed with it."""

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache

import numpy as np

from accounting.dp.accountants import rdp
from accounting.dp.events import PrivacyEvent
from accounting.dp.moments import at_tilts

_SLACK = 1e-9  # relative: a plan that meets its budget exactly must not fail by a rounding


class Answer(StrEnum):
    """Whether a plan fits, for people who may not read the budget."""

    FITS = "fits"
    SHORT = "does not fit"
    ASK = "ask the site"


def divergence(events: Iterable[PrivacyEvent], order: float) -> float:
    """The Rényi divergence of all events together at one order above 1."""
    return math.fsum(
        event.steps
        * _of_step(event.noise_multiplier, event.sample_rate, event.rows_per_unit, order)
        for event in events
    )


def rounds_within(costs: Sequence[float], room: float) -> int:
    """How many of the rounds, each with its divergence, fit one after the other."""
    limit = room + _SLACK * abs(room)
    return int(np.searchsorted(np.cumsum(costs), limit, side="right")) if len(costs) else 0


def coarse(cost: float, room: float) -> Answer:
    """Whether `cost` fits `room`, told in steps of a factor 2.

    The answer depends on the power of 2 that the cost is next to, so whoever tries many plans
    learns the room to a factor of 2 and no better.
    """
    if room <= 0 or cost <= 0:
        return Answer.ASK
    power = math.log2(cost)
    if 2.0 ** math.ceil(power) <= room:
        return Answer.FITS
    return Answer.SHORT if 2.0 ** math.floor(power) > room else Answer.ASK


@lru_cache(maxsize=8192)
def _of_step(noise: float, rate: float, rows: int, order: float) -> float:
    if rows == 1:
        return float(at_tilts(noise, rate, np.array([order - 1.0]))[0]) / (order - 1.0)
    above = np.where(order <= rdp.ORDERS, rdp.ORDERS, np.inf)  # divergences rise with the order
    return float(rdp.curve(noise, rate, rows)[int(np.argmin(above))])
