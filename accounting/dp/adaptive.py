"""The next round's noise, chosen from what was released: an odometer, not a sealed plan.

After Lee and Kifer (KDD 2018, arXiv 1808.09501): spend evenly what is left; less of it on a round
while the model still improves, more where noise has stopped it. The choice may look at anything
that was released; what pays for it is a filter valid under full adaptivity (filters.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

IMPROVED = 0.01  # by how much a metric between 0 and 1 must have risen
SAVING, SPENDING = 1.1, 0.85  # of the even noise


class Rule(StrEnum):
    """Why a round's noise is what it is."""

    EVEN = "nothing is measured yet: what is left is spent evenly"
    SAVE = "the model improves: a little more noise, to keep budget for later"
    SPEND = "the model stands still: less noise in this round"


@dataclass(frozen=True)
class Proposal:
    """The noise multiplier of one round and the rule that chose it."""

    noise_multiplier: float
    rule: Rule


def propose(
    *, even_noise: float, metrics: Sequence[float], least_noise: float, most_noise: float
) -> Proposal:
    """The noise of the next round, between `least_noise` and `most_noise`.

    `even_noise` uses up the room that is left in equal rounds; `metrics` are the released figures
    so far, oldest first, higher being better. Never below `even_noise` by more than one step of
    the rule, so the next round always leaves something for those after it.

    Raises ValueError for bounds in the wrong order.
    """
    if least_noise > most_noise:
        raise ValueError("least_noise is above most_noise")
    rule = _rule(metrics)
    factor = {Rule.EVEN: 1.0, Rule.SAVE: SAVING, Rule.SPEND: SPENDING}[rule]
    noise = min(max(round(even_noise * factor, 4), least_noise), most_noise)
    return Proposal(noise, rule)


def _rule(metrics: Sequence[float]) -> Rule:
    if len(metrics) < 2:
        return Rule.EVEN
    best_before = max(metrics[:-1])
    return Rule.SAVE if metrics[-1] >= best_before + IMPROVED else Rule.SPEND
