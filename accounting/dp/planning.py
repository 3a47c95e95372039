"""A plan while it is being written: its noise, its composed ε round by round, the naive sum.

Nothing here is sealed and nothing is charged. Every ε is the reference accountant's; between the
rounds that are listed none is claimed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from accounting.dp.accountants import epsilon
from accounting.dp.calibration import MOST_NOISE, CalibrationError, calibrate, estimated
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.figures import SMALLEST_DELTA, Figure
from accounting.dp.schedules import shape

LISTED = 10  # rounds at most at which ε is computed and shown
MOST_LEVELS = 128  # different noises that are composed as they are; more are grouped from below
_SAMPLES = 5  # noises at which one round alone is priced, for the naive sum
_AIM, _STEEP = 0.9995, 1.2  # a factor of noise lowers ε by about its 1.2th power, or more
_TRIES = 8
_SLACK = 1e-9  # a plan that meets its budget exactly must not fail by a rounding


@dataclass(frozen=True)
class Sharing:
    """Secure aggregation with shared noise: of `sites`, `dropped` may vanish, `colluding` tell.

    Raises ValueError where nobody honest would be left.
    """

    sites: int
    dropped: int = 0
    colluding: int = 0

    def __post_init__(self) -> None:
        """Refuse what leaves no honest site."""
        if min(self.dropped, self.colluding) < 0 or self.honest < 1:
            raise ValueError(
                f"of {self.sites} sites, {self.dropped} dropping out and {self.colluding} telling "
                "the hub leave nobody whose noise protects; lower these two, or invite more sites"
            )

    @property
    def honest(self) -> int:
        """The sites whose noise is certainly in the sum and unknown to the hub."""
        return self.sites - self.dropped - self.colluding


@dataclass(frozen=True)
class Draft:
    """What decides the price of a study: exactly one of `target` (ε) and `noise` is given.

    `schedule` as schedules.shape takes it. `noise` is what the hub's line is judged by: each site's
    own, or with `sharing` that of the sum.
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
    sharing: Sharing | None = None

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
    outsiders: Figure | None = None  # with shared noise: against whoever is not the hub
    fallback: Figure | None = None  # with shared noise: a site's own noise, should sharing fail

    @property
    def figure(self) -> Figure:
        """The whole plan's."""
        return self.points[-1].figure

    @property
    def at_site(self) -> tuple[float, ...]:
        """The noise that each site adds, per round."""
        share = math.sqrt(self.draft.sharing.honest) if self.draft.sharing else 1.0
        return tuple(noise / share for noise in self.noise)

    def events(self, number: int) -> tuple[PrivacyEvent, ...]:
        """What round `number` (from 1) costs at a site, by the noise that the main line has."""
        return _round(self.draft, self.noise[number - 1], number)

    def until(self, number: int) -> tuple[PrivacyEvent, ...]:
        """Everything up to and including round `number`."""
        return _history(self.draft, self.noise, number)


@lru_cache(maxsize=512)
def outlook(draft: Draft) -> Outlook:
    """Price a draft; the same draft again is free.

    Raises:
        CalibrationError: no noise reaches the target.
        Unbounded: the accountant finds no bound.
        ValueError: a number is out of range.
    """
    noise = _noise(draft)
    points = tuple(
        Point(number, noise[number - 1], composed(_history(draft, noise, number), draft.delta))
        for number in listed(draft.rounds)
    )
    found = Outlook(draft, noise, points, _naive(draft, noise))
    return found if draft.sharing is None else _shared(found, draft.sharing)


def listed(rounds: int) -> tuple[int, ...]:
    """The first round, the last, and some between in equal distances: LISTED at most."""
    count = min(rounds, LISTED)
    return tuple(sorted({round(place) for place in np.linspace(1, rounds, count)}))


def composed(events: Sequence[PrivacyEvent], delta: float) -> Figure:
    """The reference accountant's ε; of a very long schedule an upper bound by grouped noises.

    Raises as `accountants.epsilon`.
    """
    return epsilon(_grouped(events), delta)


def rounds_held(found: Outlook, limit: float, delta: float | None = None) -> int:
    """How many of the planned rounds a budget of `limit` at `delta` (the plan's own) holds alone.

    Raises as `accountants.epsilon`.
    """

    def fits(number: int) -> bool:
        return composed(found.until(number), delta or found.draft.delta).epsilon <= ceiling

    ceiling = limit * (1 + _SLACK)
    done, over = 0, found.draft.rounds + 1
    for point in found.points:
        if not fits(point.number):
            over = point.number
            break
        done = point.number
    while over - done > 1:
        middle = (done + over) // 2
        done, over = (middle, over) if fits(middle) else (done, middle)
    return done


def _noise(draft: Draft) -> tuple[float, ...]:
    """The noise of each round; from a target, what submission will seal.

    Only a schedule of very many noises is calibrated more coarsely here, for it has to be quick.
    """
    factors = shape(draft.schedule, draft.rounds)
    if draft.noise is not None:
        return tuple(draft.noise * factor for factor in factors)
    if draft.target is None:
        raise ValueError("give a target epsilon or a noise multiplier")
    many = len(set(factors)) > MOST_LEVELS
    noise = (estimated if many else calibrate)(
        target_epsilon=draft.target,
        delta=draft.delta,
        shape=factors,
        sample_rate=draft.sample_rate,
        steps_per_round=draft.steps,
        fixed=_histograms(draft, draft.rounds),
    )
    return _within(draft, noise, draft.target) if many else noise


def _within(draft: Draft, noise: tuple[float, ...], target: float) -> tuple[float, ...]:
    """Raised where the accountant puts the estimate above the target. Raises CalibrationError."""
    for _ in range(_TRIES):
        spent = composed(_history(draft, noise, draft.rounds), draft.delta).epsilon
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


def _shared(found: Outlook, sharing: Sharing) -> Outlook:
    """The other two lines of shared noise: more of it for outsiders, one site's alone else."""
    draft, last = found.draft, found.draft.rounds
    more = math.sqrt((sharing.sites - sharing.dropped) / sharing.honest)
    outside = _history(draft, tuple(noise * more for noise in found.noise), last)
    alone = _history(draft, found.at_site, last)
    return Outlook(
        draft,
        found.noise,
        found.points,
        found.naive,
        outsiders=composed(outside, draft.delta),
        fallback=composed(alone, draft.delta),
    )


def _naive(draft: Draft, noise: tuple[float, ...]) -> Naive:
    """Every release priced at its share of δ, at a few noises and interpolated: a warning."""
    releases = draft.rounds + len(draft.evaluated)
    share = max(draft.delta / releases, SMALLEST_DELTA)
    levels = np.unique(np.array(noise))
    some = levels[np.unique(np.linspace(0, len(levels) - 1, _SAMPLES).round().astype(int))]
    alone = [epsilon([_training(draft, float(level))], share).epsilon for level in some]
    costs = np.exp(np.interp(np.log(noise), np.log(some), np.log(np.maximum(alone, 1e-12))))
    histogram = epsilon(_histograms(draft, draft.rounds)[:1], share).epsilon
    for number in draft.evaluated:
        costs[number - 1] += histogram
    sums = np.cumsum(costs)
    points = tuple((number, float(sums[number - 1])) for number in listed(draft.rounds))
    return Naive(points, releases * share)


def _history(draft: Draft, noise: tuple[float, ...], number: int) -> tuple[PrivacyEvent, ...]:
    training = tuple(_training(draft, each) for each in noise[:number])
    return (*training, *_histograms(draft, number))


def _round(draft: Draft, noise: float, number: int) -> tuple[PrivacyEvent, ...]:
    histogram = _histograms(draft, draft.rounds)[:1] if number in draft.evaluated else ()
    return (_training(draft, noise), *histogram)


def _training(draft: Draft, noise: float) -> PrivacyEvent:
    return PrivacyEvent(Mechanism.POISSON_GAUSSIAN, noise, draft.sample_rate, draft.steps)


def _histograms(draft: Draft, number: int) -> tuple[PrivacyEvent, ...]:
    """The histograms of the first `number` rounds."""
    count = sum(1 for each in draft.evaluated if each <= number)
    if not count or draft.evaluation_noise is None:
        return ()
    return (PrivacyEvent(Mechanism.GAUSSIAN, draft.evaluation_noise, 1.0, 1),) * count


def _grouped(events: Sequence[PrivacyEvent]) -> Sequence[PrivacyEvent]:
    """Where there are more than MOST_LEVELS noises: each lowered to the lowest of its group."""
    levels = sorted({event.noise_multiplier for event in events})
    if len(levels) <= MOST_LEVELS:
        return events
    width = math.log(levels[-1] / levels[0]) / MOST_LEVELS
    lowest: dict[int, float] = {}
    for level in levels:
        lowest.setdefault(int(math.log(level / levels[0]) / width), level)
    groups = {level: lowest[int(math.log(level / levels[0]) / width)] for level in levels}
    return [
        PrivacyEvent(e.mechanism, groups[e.noise_multiplier], e.sample_rate, e.steps)
        for e in events
    ]
