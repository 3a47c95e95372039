"""The next round's noise, chosen from what was released: an odometer, not a sealed plan.

After Lee and Kifer (KDD 2018, arXiv 1808.09501): spend evenly what is left; less of it on a round
while the model still improves, more where noise has stopped it. The choice may look at anything
that was released; what pays for it is a filter valid under full adaptivity (filters.py).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

IMPROVED = 0.01  # by how much a metric between 0 and 1 must have risen
SAVING = 1.1  # of the even noise
HASTE = 1.5  # even shares that a round may spend where the model stands still


class Rule(StrEnum):
    """Why a round's noise is what it is."""

    EVEN = "nothing is measured yet: what is left is spent evenly"
    SAVE = "the model improves: a little more noise, to keep budget for later"
    SPEND = "the model stands still: less noise in this round"
    LAST = "the last round: what is left"


@dataclass(frozen=True)
class Proposal:
    """The noise multiplier of one round and the rule that chose it."""

    noise_multiplier: float
    rule: Rule


def propose(
    *,
    noise_for: Callable[[int], float],
    rounds_left: int,
    metrics: Sequence[float],
    least_noise: float,
    most_noise: float,
) -> Proposal:
    """The noise of the next round, between `least_noise` and `most_noise`.

    `noise_for(n)` is the noise of which n equal rounds use up the room that is left; `rounds_left`
    counts this one, too; `metrics` are the released figures so far, oldest first, higher being
    better. Whatever is chosen leaves room for the rounds after it, unless `most_noise` is less
    than these would need. Rounded up to 4 decimals.

    Raises ValueError for bounds in the wrong order.
    """
    if least_noise > most_noise:
        raise ValueError("least_noise is above most_noise")
    rule = Rule.LAST if rounds_left == 1 else _rule(metrics)
    noise = noise_for(_shares(rule, rounds_left)) * (SAVING if rule is Rule.SAVE else 1.0)
    noise = math.ceil(noise * 1e4) / 1e4
    return Proposal(min(max(noise, least_noise), most_noise), rule)


def _shares(rule: Rule, rounds_left: int) -> int:
    """Into how many equal parts the room is divided; the last two rounds share alike."""
    if rule is not Rule.SPEND:
        return rounds_left
    return max(min(2, rounds_left), math.ceil(rounds_left / HASTE))


def _rule(metrics: Sequence[float]) -> Rule:
    if len(metrics) < 2:
        return Rule.EVEN
    best_before = max(metrics[:-1])
    return Rule.SAVE if metrics[-1] >= best_before + IMPROVED else Rule.SPEND
