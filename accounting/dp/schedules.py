"""Shapes of a noise schedule: how the noise of the rounds relates, before any scale is chosen."""

import math
from collections.abc import Sequence

from accounting.dp.events import number

SHAPES = ("uniform", "harmonic")


def shape(kind: str | Sequence[float], rounds: int) -> tuple[float, ...]:
    """One positive factor per round, 1.0 for the first; round t's noise is scale·factor_t.

    "uniform": the same noise in every round. "harmonic": early rounds are cheaper in noise. What
    adds up under composition of Gaussians is 1/noise², so the factors 1, √2 … √rounds give round
    t a share of the budget in proportion to 1/t, the harmonic series. A list is taken as it is,
    relative to its first entry.

    Raises:
        ValueError: an unknown name, no rounds, or a list of another length or with an entry
            that is not a positive number.
    """
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise ValueError(f"rounds is {rounds!r}; give a whole number of at least 1")
    if kind == "uniform":
        return (1.0,) * rounds
    if kind == "harmonic":
        return tuple(math.sqrt(turn) for turn in range(1, rounds + 1))
    if isinstance(kind, str):
        raise ValueError(
            f"schedule {kind!r} is not known; give one of {', '.join(SHAPES)}, or a list of "
            "relative noise levels, one for each round"
        )
    return _relative([number("an entry of the schedule", factor) for factor in kind], rounds)


def _relative(factors: list[float], rounds: int) -> tuple[float, ...]:
    if len(factors) != rounds:
        raise ValueError(
            f"the schedule has {len(factors)} entries for {rounds} rounds; give one for each round"
        )
    if not all(math.isfinite(factor) and factor > 0 for factor in factors):
        raise ValueError("an entry of the schedule is not positive and finite; noise must be added")
    return tuple(factor / factors[0] for factor in factors)
