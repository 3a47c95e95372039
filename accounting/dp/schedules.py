"""Shapes of a noise schedule: how the noise of the rounds relates, before any scale is chosen."""

import math
from collections.abc import Sequence

from accounting.dp.events import number

SHAPES = ("uniform", "harmonic")


def shape(kind: str | Sequence[float], rounds: int) -> tuple[float, ...]:
    """One positive factor per round, 1.0 for the last; round t's noise is scale·factor_t.

    "uniform": the same noise in every round. "harmonic": early rounds are cheaper. What adds up
    under composition of Gaussians is 1/noise², so the factors √rounds … √2, 1 make round t cost
    in proportion to 1/(rounds − t + 1): the harmonic series, ending with the dearest round. A
    list is taken as it is, relative to its last entry.

    Raises:
        ValueError: an unknown name, no rounds, or a list of another length or with an entry
            that is not a positive number.
    """
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise ValueError(f"rounds is {rounds!r}; give a whole number of at least 1")
    if kind == "uniform":
        return (1.0,) * rounds
    if kind == "harmonic":
        return tuple(math.sqrt(left) for left in range(rounds, 0, -1))
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
    return tuple(factor / factors[-1] for factor in factors)
