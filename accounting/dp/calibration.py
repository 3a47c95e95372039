"""How much noise a plan needs: one scale for all rounds, calibrated on the composed ε."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from scipy.optimize import brentq

from accounting.dp import quick
from accounting.dp.accountants import epsilon
from accounting.dp.accountants.pld import counted
from accounting.dp.events import Mechanism, PrivacyEvent, merged
from accounting.dp.figures import Figure, Unbounded, check_delta
from accounting.dp.fitting import divergence
from accounting.dp.saddle import Rounds, by_saddle, find_scale

DECIMALS = 4
LEAST_NOISE, MOST_NOISE = 0.1, 1e5
TIGHT = 0.997  # of the target: below, noise is being wasted
_AIM = 0.9994
_TRIES = 60
_STEEP = -1.5  # of log ε over log noise, until two evaluations tell
_NARROW = 1e-4

Cost = Callable[[float], float]


class CalibrationError(ValueError):
    """No noise reaches the target. The message says what to change."""


@dataclass(frozen=True)
class _Plan:
    """Rounds whose noise is known up to one scale, and events that happen in any case."""

    rounds: Rounds

    def noise(self, scale: float) -> tuple[float, ...]:
        """The noise of each round, rounded up."""
        return tuple(rounded_up(scale * factor) for factor in self.rounds.shape)

    def events(self, scale: float) -> tuple[PrivacyEvent, ...]:
        """Everything that will have been done."""
        kind, rate, steps = Mechanism.POISSON_GAUSSIAN, self.rounds.sample_rate, self.rounds.steps
        counts = Counter(self.noise(scale))
        rounds = [PrivacyEvent(kind, n, rate, steps * count) for n, count in counts.items()]
        return merged((*self.rounds.fixed, *rounds))

    @property
    def least(self) -> float:
        """The scale at which the quietest round has LEAST_NOISE."""
        return LEAST_NOISE / min(self.rounds.shape)


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

    The integral of `saddle` says where to look, the noise is rounded up to 4 decimals, and the
    reference accountant verifies the very numbers that are returned: never above the target, and
    within 0.3 % below it. Noise never goes below 0.1, however large the target.

    Raises:
        CalibrationError: `fixed` alone exceeds the target, or no noise up to 1e5 reaches it.
        ValueError: an argument is out of range.
    """
    _check(target_epsilon, shape)
    rounds = Rounds(tuple(map(float, shape)), sample_rate, steps_per_round, tuple(fixed))
    return _calibrated(rounds, float(target_epsilon), check_delta(delta))


def quickly(
    *,
    target_epsilon: float,
    delta: float,
    shape: Sequence[float],
    sample_rate: float,
    steps_per_round: int,
    fixed: Sequence[PrivacyEvent] = (),
) -> tuple[float, ...]:
    """What `calibrate` returns, or, where that takes seconds, up to about a percent more noise.

    Raises as `calibrate`.
    """
    _check(target_epsilon, shape)
    rounds = Rounds(tuple(map(float, shape)), sample_rate, steps_per_round, tuple(fixed))
    plan, scale = _searched(rounds, float(target_epsilon), check_delta(delta))
    return plan.noise(scale)


def estimated(
    *,
    target_epsilon: float,
    delta: float,
    shape: Sequence[float],
    sample_rate: float,
    steps_per_round: int,
    fixed: Sequence[PrivacyEvent] = (),
) -> tuple[float, ...]:
    """What `calibrate` tries first, without asking an accountant: milliseconds, and unproved.

    Of rounds that differ nearly always what `calibrate` returns; of equal ones some per cent off.
    Raises as `calibrate`.
    """
    _check(target_epsilon, shape)
    rounds = Rounds(tuple(map(float, shape)), sample_rate, steps_per_round, tuple(fixed))
    plan = _Plan(rounds)
    plan.events(1.0)  # refuses what no event may have
    _check_fixed(rounds.fixed, target_epsilon, check_delta(delta))
    return plan.noise(_start(plan, target_epsilon, delta))


def guessed(rounds: Rounds, target: float, delta: float) -> float:
    """About the scale that will be found, some per cent off or, of rare losses, a half."""
    plan = _Plan(rounds)
    return by_saddle(rounds, _AIM * target, delta, (plan.least, MOST_NOISE))[0]


def next_noise(
    *, room: float, order: float, sample_rate: float, steps_per_round: int, rounds_left: int
) -> float:
    """The least noise multiplier of which `rounds_left` rounds still fit a Rényi filter.

    `room` is the Rényi divergence left at `order`, the order sealed with the budget. Parameters may
    be chosen after looking at results, so this is the filter's currency, not PLD's. Spending less
    on a round leaves more to the others: ask again after each. Rounded up to 4 decimals.

    Raises:
        CalibrationError: no noise up to 1e5 fits, for instance because no room is left.
        ValueError: an argument is out of range.
    """
    if rounds_left < 1:
        raise ValueError(f"rounds_left is {rounds_left!r}; give at least 1")

    def excess(log_noise: float) -> float:
        return math.log(cost(math.exp(log_noise)) / room)

    def cost(noise: float) -> float:
        steps = steps_per_round * rounds_left
        kind = Mechanism.POISSON_GAUSSIAN
        return divergence([PrivacyEvent(kind, noise, sample_rate, steps)], order)

    if not room > 0 or cost(MOST_NOISE) > room:
        raise CalibrationError(
            f"no noise multiplier up to {MOST_NOISE:g} fits the room that is left for "
            f"{rounds_left} rounds; take fewer rounds or fewer steps, or end the study here"
        )
    if cost(LEAST_NOISE) <= room:
        return LEAST_NOISE
    root = brentq(excess, math.log(LEAST_NOISE), math.log(MOST_NOISE), xtol=1e-9)
    noise = rounded_up(math.exp(float(root)))
    return noise if cost(noise) <= room else rounded_up(noise + 10.0**-DECIMALS)


def rounded_up(noise: float) -> float:
    """To DECIMALS decimals."""
    unit = 10.0**DECIMALS
    return math.ceil(noise * unit) / unit


@lru_cache(maxsize=256)
def _calibrated(rounds: Rounds, target: float, delta: float) -> tuple[float, ...]:
    plan, scale = _searched(rounds, target, delta)
    if quick.is_slow(counted(plan.events(scale))):
        cost = partial(_cost, epsilon, plan, delta)
        scale = _polished(cost, target, scale, (plan.least, MOST_NOISE))
    return plan.noise(scale)


def _searched(rounds: Rounds, target: float, delta: float) -> tuple[_Plan, float]:
    """A scale that is enough, and what it scales; found without asking what takes seconds."""
    plan = _Plan(rounds)
    plan.events(1.0)  # refuses what no event may have
    _check_fixed(rounds.fixed, target, delta)
    cost, start = partial(_cost, quick.epsilon, plan, delta), _start(plan, target, delta)
    return plan, _polished(cost, target, start, (plan.least, MOST_NOISE))


def _cost(ask: Callable[..., Figure], plan: _Plan, delta: float, scale: float) -> float:
    try:
        return ask(plan.events(scale), delta).epsilon
    except Unbounded:
        return math.inf


@lru_cache(maxsize=256)
def _scale(rounds: Rounds, epsilon: float, delta: float, least: float) -> float:
    return find_scale(rounds, epsilon, delta, least, MOST_NOISE)


def _start(plan: _Plan, target: float, delta: float) -> float:
    """A scale whose ε is just below the target, if the integral is right."""
    return _scale(plan.rounds, _AIM * target, delta, plan.least)


def _polished(cost: Cost, target: float, start: float, ends: tuple[float, float]) -> float:
    """A scale whose cost is within the target: secants inside a bracket.

    Ends when the cost is within TIGHT of the target, or the scale can hardly be any smaller. Raises
    CalibrationError where even the largest scale costs more.
    """
    least, most = ends
    low, high = 0.0, math.inf  # too small a scale; one that will do
    scale, last = min(max(start, least), most), None
    for _ in range(_TRIES):
        spent = cost(scale)
        low, high = (low, scale) if spent <= target else (scale, high)
        if high == least or TIGHT * target <= spent <= target or high < low * (1 + _NARROW):
            return high
        if low >= most:
            raise unreachable(target)
        here = (math.log(scale), math.log(max(spent, 1e-9) / (_AIM * target)))
        scale, last = min(max(_secant(last, here), least), most), here
        if not low < scale < high:
            scale = math.sqrt(max(low, least) * min(high, most))
    return high


def _secant(last: tuple[float, float] | None, here: tuple[float, float]) -> float:
    """The next scale: where a line through both points, (log scale, log excess), is 0."""
    if not math.isfinite(here[1]):
        return 2.0 * math.exp(here[0])
    slope = _STEEP
    if last is not None and last[0] != here[0] and math.isfinite(last[1]):
        slope = (here[1] - last[1]) / (here[0] - last[0])
    step = here[1] / min(slope, -0.3)
    return math.exp(here[0] - min(max(step, -1.5), 1.5))


def _check(target_epsilon: float, shape: Sequence[float]) -> None:
    if not math.isfinite(target_epsilon) or target_epsilon <= 0:
        raise ValueError(f"target_epsilon is {target_epsilon!r}; give a finite number above 0")
    if not shape or not all(math.isfinite(factor) and factor > 0 for factor in shape):
        raise ValueError("shape needs one positive, finite factor per round; see schedules.shape")


def _check_fixed(fixed: tuple[PrivacyEvent, ...], target: float, delta: float) -> None:
    spent = epsilon(fixed, delta)
    if spent.epsilon >= target:
        raise CalibrationError(
            f"the events that are fixed already cost epsilon {spent.shown()} at delta {delta:g}, "
            f"the whole target of {target:g}; raise the target, or release less besides training"
        )


def unreachable(target: float) -> CalibrationError:
    """What is said where even the most noise costs more."""
    return CalibrationError(
        f"no noise multiplier up to {MOST_NOISE:g} reaches epsilon {target:g}; raise the target or "
        "delta, or take fewer rounds, fewer steps or a lower sample rate"
    )
