"""How much noise a plan needs: one scale for all rounds, calibrated on the composed ε."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy.optimize import brentq

from accounting.dp.accountants import epsilon
from accounting.dp.accountants.pld import INTERVAL, compose, interval_for
from accounting.dp.events import Mechanism, PrivacyEvent, merged
from accounting.dp.figures import Unbounded, check_delta

DECIMALS = 4
LEAST_NOISE, MOST_NOISE = 0.1, 1e5
_COARSE = 10 * INTERVAL
_COARSE_FROM = 0.2  # below this target the error of the coarse grid, about 0.0005, would show
_SCALE_TOLERANCE = 2e-4
_STEP_UP = 1.0005
_TRIES = 40

Cost = Callable[[float], float]


class CalibrationError(ValueError):
    """No noise reaches the target. The message says what to change."""


@dataclass(frozen=True)
class _Plan:
    """Rounds whose noise is known up to one scale, and events that happen in any case."""

    shape: tuple[float, ...]
    sample_rate: float
    steps: int
    fixed: tuple[PrivacyEvent, ...]

    def noise(self, scale: float) -> tuple[float, ...]:
        """The noise of each round, rounded up."""
        unit = 10.0**DECIMALS
        return tuple(math.ceil(scale * factor * unit) / unit for factor in self.shape)

    def events(self, scale: float) -> tuple[PrivacyEvent, ...]:
        """Everything that will have been done."""
        kind = Mechanism.POISSON_GAUSSIAN
        rounds = [PrivacyEvent(kind, n, self.sample_rate, self.steps) for n in self.noise(scale)]
        return merged((*self.fixed, *rounds))


def calibrate(
    *,
    target_epsilon: float,
    delta: float,
    shape: Sequence[float],
    sample_rate: float,
    steps_per_round: int,
    fixed: Sequence[PrivacyEvent] = (),
) -> tuple[float, ...]:
    """Noise multipliers, one per round, whose composed ε with `fixed` is within the target.

    RDP brackets the scale, PLD on a coarse grid finds it, the noise is rounded up to 4 decimals,
    and the reference PLD verifies the very numbers that are returned. Noise never goes below
    0.1, however large the target.

    Raises:
        CalibrationError: `fixed` alone exceeds the target, or no noise up to 1e5 reaches it.
        ValueError: an argument is out of range.
    """
    check_delta(delta)
    _check(target_epsilon, shape)
    plan = _Plan(tuple(shape), sample_rate, steps_per_round, tuple(fixed))
    _check_fixed(plan, target_epsilon, delta)
    scale = _search(plan, target_epsilon, delta)
    for _ in range(_TRIES):
        if epsilon(plan.events(scale), delta).epsilon <= target_epsilon:
            return plan.noise(scale)
        scale *= _STEP_UP
    raise _unreachable(target_epsilon)


def _search(plan: _Plan, target: float, delta: float) -> float:
    """The scale at which the composed ε meets the target, very nearly."""
    interval = INTERVAL if target < _COARSE_FROM else _COARSE
    least = LEAST_NOISE / min(plan.shape)

    def by_rdp(scale: float) -> float:
        return epsilon(plan.events(scale), delta, "rdp").epsilon

    def by_pld(scale: float) -> float:
        history = plan.events(scale)
        try:
            return compose(history, delta, max(interval, interval_for(history)))
        except Unbounded:
            return math.inf

    # RDP overstates the fixed events, so its own target allows for that: it only finds a start.
    share = _of_fixed(plan.fixed, delta, "rdp") / _of_fixed(plan.fixed, delta, "pld")
    try:
        high = _bracket(by_rdp, target * share, least, 1.0)[1]
    except CalibrationError:
        high = MOST_NOISE
    low, high = _bracket(by_pld, target, least, high)
    return _between(by_pld, target, low, high)


def _of_fixed(events: Sequence[PrivacyEvent], delta: float, accountant: str) -> float:
    """ε of the fixed events, 1 where there are none or they cost nothing: for a ratio."""
    return epsilon(events, delta, accountant).epsilon or 1.0


def _bracket(cost: Cost, target: float, least: float, start: float) -> tuple[float, float]:
    """Scales a factor 2 apart with cost(low) > target >= cost(high); equal if `least` will do."""
    low = high = max(start, least)
    while cost(high) > target:
        low, high = high, 2 * high
        if high > MOST_NOISE:
            raise _unreachable(target)
    while low == high or cost(low) <= target:
        if low == least:
            return least, least
        low, high = max(low / 2, least), low
    return low, high


def _between(cost: Cost, target: float, low: float, high: float) -> float:
    if low == high:
        return low

    def excess(log_scale: float) -> float:
        share = cost(math.exp(log_scale)) / target
        return math.log(min(max(share, 1e-6), 1e6))

    root = brentq(excess, math.log(low), math.log(high), xtol=_SCALE_TOLERANCE)
    return math.exp(float(root))


def _check(target_epsilon: float, shape: Sequence[float]) -> None:
    if not math.isfinite(target_epsilon) or target_epsilon <= 0:
        raise ValueError(f"target_epsilon is {target_epsilon!r}; give a finite number above 0")
    if not shape or not all(math.isfinite(factor) and factor > 0 for factor in shape):
        raise ValueError("shape needs one positive, finite factor per round; see schedules.shape")


def _check_fixed(plan: _Plan, target: float, delta: float) -> None:
    spent = epsilon(plan.fixed, delta)
    if spent.epsilon >= target:
        raise CalibrationError(
            f"the events that are fixed already cost epsilon {spent.shown()} at delta {delta:g}, "
            f"the whole target of {target:g}; raise the target, or release less besides training"
        )


def _unreachable(target: float) -> CalibrationError:
    return CalibrationError(
        f"no noise multiplier up to {MOST_NOISE:g} reaches epsilon {target:g}; raise the target or "
        "delta, or take fewer rounds, fewer steps or a lower sample rate"
    )
