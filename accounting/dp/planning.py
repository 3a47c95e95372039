"""A plan while it is being written: its noise, its composed ε round by round, the naive sum.

Nothing here is sealed and nothing is charged. Every ε is the reference accountant's, or, of a
sketch, the Rényi accountant's; between the rounds that are listed none is claimed.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from accounting.dp import lattices, sketches
from accounting.dp.accountants import epsilon
from accounting.dp.calibration import (
    MOST_NOISE,
    CalibrationError,
    estimated,
    guessed,
    next_noise,
    quickly,
)
from accounting.dp.curves import alone, composed_after
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.figures import SMALLEST_DELTA, Figure, Unbounded
from accounting.dp.filters import best_order, room
from accounting.dp.levels import lowered
from accounting.dp.losses import Step
from accounting.dp.saddle import Rounds
from accounting.dp.schedules import shape
from accounting.dp.shared_noise import Cohort, site_noise

ADAPTIVE = "adaptive"
LISTED = 10  # rounds at most at which ε is computed and shown
MOST_LEVELS = 128  # different noises that are composed as they are; more are grouped from below
_GROUPS = 48
_MOST_DIFFERENT = 100  # noises that a redraw can wait for, and how much composing
_MOST_CELLS, _MOST_WORK = 2**16, 2**19
_JUDGED = 8  # noises by which that is judged
_SAMPLES = 3  # noises at which one round alone is priced, for the naive sum
_AIM, _STEEP = 0.9995, 1.2  # a factor of noise lowers ε by about its 1.2th power, or more
_TRIES = 8
_SLACK = 1e-9  # a plan that meets its budget exactly must not fail by a rounding


@dataclass(frozen=True)
class Draft:
    """What decides the price of a study: exactly one of `target` (ε) and `noise` is given.

    `schedule` as schedules.shape takes it, or ADAPTIVE: then the noise is what an adaptive study
    starts with, of which all rounds would just fit the RDP filter of `budget` (or `target`).
    `noise` is what the hub's line is judged by: each site's own, or with `sharing` the sum's.
    """

    rounds: int
    steps: int
    sample_rate: float
    delta: float
    schedule: str | tuple[float, ...] = "uniform"
    target: float | None = None
    noise: float | None = None
    evaluate_every: int = 0
    evaluation_noise: float | None = None
    sharing: Cohort | None = None
    budget: float | None = None

    @property
    def evaluated(self) -> tuple[int, ...]:
        """The rounds that end with a histogram."""
        every = self.evaluate_every
        numbers = range(1, self.rounds + 1)
        return tuple(n for n in numbers if every and (n % every == 0 or n == self.rounds))


@dataclass(frozen=True)
class Point:
    """ε composed over everything up to and including round `number`."""

    number: int
    noise: float
    figure: Figure


@dataclass(frozen=True)
class Naive:
    """What adding up would say: sums of per-release ε (about), and the δ that adds up with them."""

    points: tuple[tuple[int, float], ...]  # after each round that is listed
    delta: float

    @property
    def epsilon(self) -> float:
        """The sum over everything."""
        return self.points[-1][1]


@dataclass(frozen=True)
class Outlook:
    """A draft priced. `noise` per round is what the main line is judged by; see `Draft.noise`."""

    draft: Draft
    noise: tuple[float, ...]
    points: tuple[Point, ...]
    naive: Naive
    rough: bool = False  # a sketch: more noise than will be needed, ε from above
    outsiders: Figure | None = None  # with shared noise: against whoever is not the hub
    fallback: Figure | None = None  # with shared noise: a site's own noise, should sharing fail

    @property
    def figure(self) -> Figure:
        """The whole plan's."""
        return self.points[-1].figure

    @property
    def grouped(self) -> bool:
        """Whether there are so many noises that every ε here is an upper bound by fewer."""
        return len(set(self.noise)) > (sketches.LEVELS if self.rough else MOST_LEVELS)

    @property
    def at_site(self) -> tuple[float, ...]:
        """The noise that each site adds, per round."""
        sharing = self.draft.sharing
        return self.noise if sharing is None else _each(self.noise, sharing)

    def rounds(self) -> Sequence[tuple[PrivacyEvent, ...]]:
        """What each round costs a site, by the main line's noise; where grouped, at most."""
        return _levelled(self.draft, self.noise, rough=self.rough)


@lru_cache(maxsize=512)
def outlook(draft: Draft) -> Outlook:
    """Price a draft; the same draft again is free.

    Raises:
        CalibrationError: no noise reaches the target.
        Unbounded: the accountant finds no bound.
        ValueError: a number is out of range.
    """
    return _priced(draft, rough=False)


@lru_cache(maxsize=512)
def sketch(draft: Draft) -> Outlook:
    """What `outlook` finds, sooner and from above. Raises the same."""
    return _priced(draft, rough=True)


def is_long(draft: Draft) -> bool:
    """Whether `outlook` takes longer than a redraw may, judged by the work of composing once.

    Raises ValueError where a number is out of range.
    """
    levels = set(_about(draft))
    if len(levels) > _MOST_DIFFERENT:
        return True
    few = set(lowered([*levels], _JUDGED, _JUDGED).values())
    counts = tuple((Step(noise, draft.sample_rate, 1), draft.steps) for noise in sorted(few))
    if draft.sample_rate == 1.0:
        return False
    try:
        cells = lattices.window(counts).lattice.cells
    except (ArithmeticError, ValueError):
        return draft.target is not None  # given noise that nothing composes is refused at once
    return cells > _MOST_CELLS or cells * len(levels) > _MOST_WORK


def _about(draft: Draft) -> tuple[float, ...]:
    """About the noise of each round, in a few milliseconds."""
    if draft.schedule == ADAPTIVE or draft.target is None:
        return _noise(draft, rough=True)
    factors = shape(draft.schedule, draft.rounds)
    if len(set(factors)) > _MOST_DIFFERENT:
        return factors
    rounds = Rounds(factors, draft.sample_rate, draft.steps)
    scale = guessed(rounds, draft.target, draft.delta)
    return tuple(scale * factor for factor in factors)


def _priced(draft: Draft, *, rough: bool) -> Outlook:
    try:
        noise = _noise(draft, rough=rough)
        numbers = listed(draft.rounds)
        figures = _compose(draft, noise, draft.delta, numbers, rough=rough)
        points = tuple(
            Point(number, noise[number - 1], figure)
            for number, figure in zip(numbers, figures, strict=True)
        )
        found = Outlook(draft, noise, points, _naive(draft, noise, rough=rough), rough)
        return found if draft.sharing is None else _shared(found, draft.sharing)
    except ArithmeticError as error:
        raise Unbounded("what this would cost is beyond all floats; add noise") from error


def _compose(
    draft: Draft,
    noise: tuple[float, ...],
    delta: float,
    numbers: Collection[int],
    before: Sequence[PrivacyEvent] = (),
    *,
    rough: bool,
) -> tuple[Figure, ...]:
    rounds = _levelled(draft, noise, rough=rough)
    return (sketches.after if rough else composed_after)(rounds, delta, numbers, before)


def listed(rounds: int) -> tuple[int, ...]:
    """The first round, the last, and some between in equal distances: LISTED at most."""
    count = min(rounds, LISTED)
    return tuple(sorted({round(place) for place in np.linspace(1, rounds, count)}))


def after(
    found: Outlook, delta: float, numbers: Collection[int], before: Sequence[PrivacyEvent] = ()
) -> tuple[Figure, ...]:
    """ε at any δ after each of some rounds, on top of what was spent before.

    Raises as `accountants.epsilon`.
    """
    return _compose(found.draft, found.noise, delta, numbers, before, rough=found.rough)


def rounds_held(found: Outlook, limit: float, delta: float | None = None) -> int:
    """How many of the planned rounds a budget of `limit` at `delta` (the plan's own) holds alone.

    Raises as `accountants.epsilon`.
    """
    numbers = [point.number for point in found.points]
    own = delta is None or delta == found.draft.delta
    figures = [p.figure for p in found.points] if own else after(found, delta or 0.0, numbers)
    ceiling = limit * (1 + _SLACK)
    fitting = [n for n, figure in zip(numbers, figures, strict=True) if figure.epsilon <= ceiling]
    done = max(fitting, default=0)
    over = min((n for n in numbers if n > done), default=done + 1)
    while over - done > 1:
        middle = (done + over) // 2
        figure = after(found, delta or found.draft.delta, (middle,))[0]
        done, over = (middle, over) if figure.epsilon <= ceiling else (done, middle)
    return done


def _noise(draft: Draft, *, rough: bool) -> tuple[float, ...]:
    """The noise of each round; from a target, what submission will seal.

    Only a schedule of very many noises is calibrated more coarsely here, for it has to be quick,
    and a sketch by the Rényi accountant.
    """
    if draft.schedule == ADAPTIVE:
        return (_even(draft),) * draft.rounds
    factors = shape(draft.schedule, draft.rounds)
    if draft.noise is not None:
        return tuple(draft.noise * factor for factor in factors)
    if draft.target is None:
        raise ValueError("give a target epsilon or a noise multiplier")
    fixed = _histograms(draft, draft.rounds)
    if rough:
        rounds = Rounds(factors, draft.sample_rate, draft.steps, fixed)
        return sketches.noise(rounds, draft.target, draft.delta)
    many = len(set(factors)) > MOST_LEVELS
    noise = (estimated if many else quickly)(
        target_epsilon=draft.target,
        delta=draft.delta,
        shape=factors,
        sample_rate=draft.sample_rate,
        steps_per_round=draft.steps,
        fixed=fixed,
    )
    return _within(draft, noise, draft.target) if many else noise


def _even(draft: Draft) -> float:
    limit = draft.budget or draft.target
    if limit is None:
        raise ValueError("an adaptive schedule needs a target epsilon")
    order = best_order(limit, draft.delta)
    return next_noise(
        room=room(_histograms(draft, draft.rounds), limit, draft.delta, order),
        order=order,
        sample_rate=draft.sample_rate,
        steps_per_round=draft.steps,
        rounds_left=draft.rounds,
    )


def _within(draft: Draft, noise: tuple[float, ...], target: float) -> tuple[float, ...]:
    """Raised where the accountant puts the estimate above the target. Raises CalibrationError."""
    for _ in range(_TRIES):
        spent = _whole(draft, noise, rough=False).epsilon
        if spent <= target:
            return noise
        if noise[0] >= MOST_NOISE:
            break
        step = (spent / (_AIM * target)) ** (1 / _STEEP)
        noise = tuple(math.ceil(each * step * 1e4) / 1e4 for each in noise)
    raise CalibrationError(
        f"no noise multiplier up to {MOST_NOISE:g} reaches epsilon {target:g}; raise "
        "the target or delta, or take fewer rounds, fewer steps or a lower sample rate"
    )


def _shared(found: Outlook, sharing: Cohort) -> Outlook:
    """The other two lines of shared noise: more of it for outsiders, one site's alone else."""
    draft = found.draft
    more = math.sqrt(sharing.against_outsiders / sharing.against_hub)
    return Outlook(
        draft,
        found.noise,
        found.points,
        found.naive,
        found.rough,
        outsiders=_whole(draft, tuple(noise * more for noise in found.noise), rough=found.rough),
        fallback=_whole(draft, found.at_site, rough=found.rough),
    )


def _each(noise: tuple[float, ...], sharing: Cohort) -> tuple[float, ...]:
    return tuple(site_noise(each, sharing) for each in noise)


def _whole(draft: Draft, noise: tuple[float, ...], *, rough: bool) -> Figure:
    return _compose(draft, noise, draft.delta, (draft.rounds,), rough=rough)[0]


def _naive(draft: Draft, noise: tuple[float, ...], *, rough: bool) -> Naive:
    """Every release priced at its share of δ, at a few noises and interpolated: a warning."""
    releases = draft.rounds + len(draft.evaluated)
    share = max(draft.delta / releases, SMALLEST_DELTA)
    levels = np.unique(np.array(noise))
    some = levels[np.unique(np.linspace(0, len(levels) - 1, _SAMPLES).round().astype(int))]
    each = [_training(draft, float(level)) for level in some]
    if rough:
        figures = tuple(sketches.alone(event, share) for event in each)
    else:
        figures = alone(_levelled(draft, noise, rough=False), share, each)
    prices = np.array([max(figure.epsilon, 1e-12) for figure in figures])
    costs = np.exp(np.interp(np.log(noise), np.log(some), np.log(prices)))
    histogram = epsilon(_histograms(draft, draft.rounds)[:1], share).epsilon
    for number in draft.evaluated:
        costs[number - 1] += histogram
    sums = np.cumsum(costs)
    points = tuple((number, float(sums[number - 1])) for number in listed(draft.rounds))
    return Naive(points, releases * share)


def _training(draft: Draft, noise: float) -> PrivacyEvent:
    return _trained(noise, draft.sample_rate, draft.steps)


@lru_cache(maxsize=4096)
def _trained(noise: float, rate: float, steps: int) -> PrivacyEvent:
    return PrivacyEvent(Mechanism.POISSON_GAUSSIAN, noise, rate, steps)


def _histograms(draft: Draft, number: int) -> tuple[PrivacyEvent, ...]:
    """The histograms of the first `number` rounds."""
    count = sum(1 for each in draft.evaluated if each <= number)
    if not count or draft.evaluation_noise is None:
        return ()
    return (PrivacyEvent(Mechanism.GAUSSIAN, draft.evaluation_noise, 1.0, 1),) * count


def _levelled(
    draft: Draft, noise: tuple[float, ...], *, rough: bool
) -> list[tuple[PrivacyEvent, ...]]:
    """The rounds. More noises than can be composed: each lowered to the lowest of its group."""
    most, groups = (sketches.LEVELS, sketches.LEVELS) if rough else (MOST_LEVELS, _GROUPS)
    lowest = lowered(noise, most, groups)
    plain = {level: (_training(draft, level),) for level in set(lowest.values())}
    histogram = _histograms(draft, draft.rounds)[:1]
    rounds: list[tuple[PrivacyEvent, ...]] = [plain[lowest[each]] for each in noise]
    for number in draft.evaluated:
        rounds[number - 1] = (*rounds[number - 1], *histogram)
    return rounds
