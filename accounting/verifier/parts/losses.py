"""How much a history reveals: discretised privacy losses, composed by Fourier transform.

Nothing here is taken from the software that is checked. A mechanism is a pair of distributions
(P, Q): its output with and without one person (or the other way round: both are looked at, and
the worse one counts). Its hockey-stick curve is D(x) = sup over tests of P(test) − x·Q(test) at
x = exp(ε); a history satisfies (ε, δ) if the composed curve is at most δ at exp(ε).

Two curves with corners only at grid points x = exp(k·h) enclose D:
 * above: the polygon through D at the grid points, for D is convex ("connect the dots",
   Doroshenko et al. 2022, arXiv 2207.04380);
 * below: the convex hull under what slightly wrong tests achieve, those with a threshold in the
   middle between two grid points instead of at the best place.
Each such curve is a discrete distribution of the privacy loss, so it composes by convolution,
and keeps its side of the truth (Blackwell order). Both are off by the order of h² only.
"""

from __future__ import annotations

import cmath
import math
from typing import NamedTuple

Price = tuple[float, float, int]  # noise_multiplier, sample_rate, rows_per_unit
History = dict[Price, int]  # price -> steps

SPREAD = 9.5  # standard deviations of the noise that are looked at: 1 − 2e-21 of its mass
FINENESS = 0.08  # grid interval as a part of the standard deviation of one step's loss
MOST_POINTS = 2**17
LARGEST_LOSS = 600.0  # exp(600) is still a float
NEGLIGIBLE = 1e-6  # as a part of δ: what may be lost by cutting a window out of the tails
ROUNDING = 1e-15  # per step: what floating point may do to a mass


class TooLarge(Exception):
    """The history costs so much, or is so long, that this program cannot bound it."""


class Steps(NamedTuple):
    """One step's loss on the grid: masses of the curve above and below from index `first` on."""

    first: int
    above: list[float]
    below: list[float]
    infinite: float  # what the curve above moves to an infinite loss


class Test(NamedTuple):
    """How often a test says yes under P and under Q, and how often no: all four to full digits."""

    p: float
    q: float
    not_p: float
    not_q: float


class Corner(NamedTuple):
    """A corner of a curve D, with what it has above 1 − x: small on the left as D on the right.

    With both, the far tails on either side keep all their digits.
    """

    x: float
    excess: float
    value: float


class Spectra(NamedTuple):
    """Transforms (first half; the rest mirrors it) of the masses above and below."""

    above: list[complex]
    below: list[complex]


# --- one step ------------------------------------------------------------------------------


def log_binomial(count: int, taken: int, rate: float) -> float:
    """log of the probability that `taken` of `count` are in a sample of this rate (below 1)."""
    choose = math.lgamma(count + 1) - math.lgamma(taken + 1) - math.lgamma(count - taken + 1)
    return choose + taken * math.log(rate) + (count - taken) * math.log1p(-rate)


def weights(rate: float, rows: int) -> list[float]:
    """How many of a unit's `rows` are in the sample: the binomial distribution."""
    if rate == 1.0:
        return [0.0] * rows + [1.0]
    return [math.exp(log_binomial(rows, j, rate)) for j in range(rows + 1)]


def log_ratio(place: float, noise: float, mixture: list[float]) -> tuple[float, float]:
    """log(P/Q) at an output, and its slope: P mixes N(j, noise²) over j, Q is N(0, noise²)."""
    parts = [(j, math.log(w)) for j, w in enumerate(mixture) if w > 0.0]
    terms = [(j, log + (j * place - 0.5 * j * j) / noise**2) for j, log in parts]
    top = max(term for _, term in terms)
    scaled = [(j, math.exp(term - top)) for j, term in terms]
    total = math.fsum(part for _, part in scaled)
    return top + math.log(total), math.fsum(j * part for j, part in scaled) / (total * noise**2)


def threshold(loss: float, noise: float, mixture: list[float], near: float) -> float:
    """The output at which log(P/Q) is `loss`, sought from `near`; −inf where it never is as low."""
    if mixture[0] > 0.0 and loss <= math.log(mixture[0]):
        return -math.inf
    if len(mixture) == 2:
        return noise**2 * _unmixed(loss, mixture[1]) + 0.5
    return _newton(loss, noise, mixture, near)


def _unmixed(loss: float, rate: float) -> float:
    """log((exp(loss) − 1 + rate) / rate), without cancellation."""
    if rate == 1.0:
        return loss
    if loss < 1.0:
        ratio = math.expm1(loss) / rate
        return math.log1p(ratio) if ratio > -1.0 else -math.inf
    return loss - math.log(rate) + math.log1p((rate - 1.0) * math.exp(-loss))


def _newton(loss: float, noise: float, mixture: list[float], near: float) -> float:
    """log(P/Q) increases and is convex, so Newton's steps pass the root at most once."""
    place = near
    for _ in range(500):
        value, slope = log_ratio(place, noise, mixture)
        step = (value - loss) / slope if slope > 0.0 else -noise
        step = max(min(step, noise), -noise)
        place -= step
        if abs(step) < 1e-10 * noise:
            return place
    raise TooLarge("the privacy loss of a mechanism could not be inverted")


def tested(place: float, noise: float, mixture: list[float], remove: bool) -> Test:
    """What the test that decides by the threshold `place` achieves, in one of both directions."""
    p, not_p, scale = 0.0, 0.0, noise * math.sqrt(2.0)
    for j, share in enumerate(mixture):
        if share > 0.0:
            p += 0.5 * share * math.erfc((place - j) / scale)
            not_p += 0.5 * share * math.erfc((j - place) / scale)
    q, not_q = 0.5 * math.erfc(place / scale), 0.5 * math.erfc(-place / scale)
    return Test(p, q, not_p, not_q) if remove else Test(not_q, not_p, q, p)


def one_step(price: Price, interval: float, remove: bool) -> Steps:
    """The two enclosing curves of one step, as masses on the grid."""
    noise, rate, rows = price
    mixture = weights(rate, rows)
    ends = [log_ratio(z, noise, mixture)[0] for z in (-SPREAD * noise, rows + SPREAD * noise)]
    low, high = ends if remove else (-ends[1], -ends[0])
    if max(-low, high) > LARGEST_LOSS:
        raise TooLarge("one step alone may cost more than ε = 600")
    first, last = math.floor(low / interval), math.ceil(high / interval) + 1
    if last - first > MOST_POINTS:
        raise TooLarge("the privacy loss of one step needs too fine a grid")
    sign = 1.0 if remove else -1.0
    tests: list[Test] = []
    place = before = -SPREAD * noise
    for half in range(2 * first, 2 * last + 1) if remove else range(2 * last, 2 * first - 1, -1):
        found = threshold(sign * 0.5 * half * interval, noise, mixture, 2.0 * place - before)
        if math.isfinite(found):
            place, before = found, place
        tests.append(tested(found, noise, mixture, remove))
    xs = [math.exp(k * interval) for k in range(first, last + 1)]
    return _enclosed(first, xs, tests if remove else tests[::-1])


def _enclosed(first: int, xs: list[float], tests: list[Test]) -> Steps:
    """Masses above and below, of tests with thresholds at every half grid point."""
    above = [Corner(x, x * t.not_q - t.not_p, t.p - x * t.q) for x, t in zip(xs, tests[::2])]
    # Between two grid points stands one wrong test. Before the first: always "yes"; last: "no".
    wrong = [Test(1.0, 1.0, 0.0, 0.0), *tests[1:-2:2], *[Test(0.0, 0.0, 1.0, 1.0)] * 2]
    pairs = list(zip(xs, wrong, wrong[1:]))
    left = _cut([min(x * t.not_q - t.not_p for t in pair) for x, *pair in pairs[-first::-1]])[::-1]
    right = _cut([min(t.p - x * t.q for t in pair) for x, *pair in pairs[-first:]])
    left[-1] = right[0] = min(left[-1], right[0])
    below = [Corner(x, value, value + 1.0 - x) for x, value in zip(xs, left)]
    below += [Corner(x, value - 1.0 + x, value) for x, value in zip(xs[1 - first :], right[1:])]
    above_masses, below_masses = _masses(above), _masses(_hull([Corner(0.0, 0.0, 1.0), *below]))
    return Steps(first, above_masses, below_masses, max(above[-1].value, 0.0))


def _cut(values: list[float]) -> list[float]:
    """Zero from just before the first value that is not positive: a curve never falls below 0."""
    end = next((k for k, value in enumerate(values) if value <= 0.0), len(values))
    return [value if k < end - 1 else 0.0 for k, value in enumerate(values)]


def _hull(corners: list[Corner]) -> list[Corner]:
    """The lower convex hull, read again at each corner but the first."""
    kept: list[Corner] = []
    for corner in corners:
        while len(kept) > 1 and _turns_down(kept[-2], kept[-1], corner):
            kept.pop()
        kept.append(corner)
    answer, at = [], 0
    for corner in corners[1:]:
        while kept[at + 1].x < corner.x:
            at += 1
        answer.append(_between(kept[at], kept[at + 1], corner.x))
    return answer


def _turns_down(a: Corner, b: Corner, c: Corner) -> bool:
    return _slope(a, b, c.x) >= _slope(b, c, c.x)


def _slope(a: Corner, b: Corner, until: float) -> float:
    """Of the curve above 1 − x where all is left of 1, for its small numbers; else of the curve."""
    rise = b.excess - a.excess if until <= 1.0 else b.value - a.value
    return rise / (b.x - a.x)


def _between(a: Corner, b: Corner, x: float) -> Corner:
    if x == b.x:
        return b
    share = (x - a.x) / (b.x - a.x)
    value = a.value + (b.value - a.value) * share
    excess = a.excess + (b.excess - a.excess) * share
    return Corner(x, excess, value)


def _masses(corners: list[Corner]) -> list[float]:
    """P-masses of the discrete pair whose hockey-stick curve has these corners: x·Δ(slope)."""
    points = [Corner(0.0, 0.0, 1.0), *corners]
    masses = []
    for a, b, c in zip(points, points[1:], points[2:]):
        if b.x == 1.0:
            turn = _slope(b, c, c.x) - _slope(a, b, b.x) + 1.0
        else:
            turn = _slope(b, c, c.x) - _slope(a, b, c.x)
        masses.append(b.x * turn)
    return [*masses, -corners[-1].x * _slope(corners[-2], corners[-1], corners[-1].x)]


# --- many steps ----------------------------------------------------------------------------


def transform(values: list[complex]) -> list[complex]:
    """The discrete Fourier transform of 2^n values, in n equal passes over them (Pease 1968)."""
    passes, order = _plan(len(values))
    half = len(values) // 2
    for turns in passes:
        low, high = values[:half], values[half:]
        values = low + high
        values[::2] = [a + b for a, b in zip(low, high)]
        values[1::2] = [(a - b) * turn for a, b, turn in zip(low, high, turns)]
    return [values[place] for place in order]


_PLANS: dict[int, tuple[list[list[complex]], list[int]]] = {}


def _plan(size: int) -> tuple[list[list[complex]], list[int]]:
    """The factors of each pass, and where each result stands in the end: in order of its bits."""
    if size not in _PLANS:
        turns = [cmath.exp(-2j * math.pi * k / size) for k in range(size // 2)]
        passes, order = [], [0]
        for level in range(size.bit_length() - 1):
            passes.append([turns[place >> level << level] for place in range(size // 2)])
            order = [2 * place for place in order] + [2 * place + 1 for place in order]
        _PLANS[size] = passes, order
    return _PLANS[size]


def spectra(step: Steps, size: int) -> Spectra:
    """Both transforms at the price of one: the masses below ride on the imaginary axis."""
    both: list[complex] = [complex(a, b) for a, b in zip(step.above, step.below)]
    found = transform(both + [0j] * (size - len(both)))
    pairs = [(found[j], found[-j].conjugate()) for j in range(size // 2 + 1)]
    return Spectra([(a + b) / 2 for a, b in pairs], [(a - b) / 2j for a, b in pairs])


def masses_of(both: Spectra) -> tuple[list[float], list[float]]:
    """The masses above and below, by one inverse transform."""
    half = [a + 1j * b for a, b in zip(both.above, both.below)]
    rest = [a.conjugate() + 1j * b.conjugate() for a, b in zip(both.above, both.below)]
    size = 2 * (len(half) - 1)
    found = transform([value.conjugate() for value in half + rest[-2:0:-1]])
    return [v.real / size for v in found], [-v.imag / size for v in found]


def epsilon_at(losses: list[float], masses: list[float], room: float) -> float:
    """The ε at which the divergence of these masses passes `room`: 0 if nowhere, inf if always."""
    if room <= 0.0:
        return math.inf
    upper, lower = 0.0, 0.0
    for place in range(len(losses) - 1, -1, -1):
        if losses[place] <= 0.0:
            return 0.0
        upper += masses[place]
        lower += masses[place] * math.exp(-losses[place])
        until = max(losses[place - 1] if place else 0.0, 0.0)
        if upper - math.exp(until) * lower > room:
            return max(0.0, math.log((upper - room) / lower))
    return 0.0
