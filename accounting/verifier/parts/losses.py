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


class Spectra(NamedTuple):
    """Transforms (first half; the rest mirrors it) of the masses above and below."""

    above: list[complex]
    below: list[complex]


# --- one step ------------------------------------------------------------------------------


def weights(rate: float, rows: int) -> list[float]:
    """How many of a unit's `rows` are in the sample: the binomial distribution."""
    if rate == 1.0:
        return [0.0] * rows + [1.0]
    return [math.comb(rows, j) * rate**j * (1.0 - rate) ** (rows - j) for j in range(rows + 1)]


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
    if loss < 1.0:
        return math.log1p(math.expm1(loss) / rate)
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


def beyond(place: float, noise: float, mean: float) -> float:
    """The mass of N(mean, noise²) above `place`."""
    return 0.5 * math.erfc((place - mean) / (noise * math.sqrt(2.0)))


def tails(place: float, noise: float, mixture: list[float], remove: bool) -> tuple[float, float]:
    """(P, Q) of the test that decides by the threshold `place`, in one of the two directions."""
    side = 1.0 if remove else -1.0
    mixed = [w * beyond(side * place, noise, side * j) for j, w in enumerate(mixture) if w > 0.0]
    plain = beyond(side * place, noise, 0.0)
    return (math.fsum(mixed), plain) if remove else (plain, math.fsum(mixed))


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
    achieved, place = [], -SPREAD * noise
    for half in range(2 * first, 2 * last + 1) if remove else range(2 * last, 2 * first - 1, -1):
        found = threshold(sign * 0.5 * half * interval, noise, mixture, place)
        place = found if math.isfinite(found) else place
        achieved.append(tails(found, noise, mixture, remove))
    xs = [math.exp(k * interval) for k in range(first, last + 1)]
    return _enclosed(first, xs, achieved if remove else achieved[::-1])


def _enclosed(first: int, xs: list[float], achieved: list[tuple[float, float]]) -> Steps:
    above = [p - x * q for x, (p, q) in zip(xs, achieved[::2])]
    above = [min(max(value, 1.0 - x, 0.0), 1.0) for value, x in zip(above, xs)]
    # Between two grid points stands one wrong test; before the first: always "yes", last: "no".
    tests = [(1.0, 1.0), *achieved[1::2]]
    tests[-1] = (0.0, 0.0)
    tests.append((0.0, 0.0))
    below = [min(t[0] - x * t[1], u[0] - x * u[1]) for x, t, u in zip(xs, tests, tests[1:])]
    negative = next((k for k, value in enumerate(below) if value <= 0.0), len(below))
    below = [value if k < negative - 1 else 0.0 for k, value in enumerate(below)]
    return Steps(first, _masses(xs, above), _masses(xs, _hull(xs, below)), above[-1])


def _hull(xs: list[float], values: list[float]) -> list[float]:
    """The lower convex hull of points (x, value) and (0, 1), read again at each x."""
    kept = [(0.0, 1.0)]
    for point in zip(xs, values):
        while len(kept) > 1 and _turns_down(kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    answer, at = [], 0
    for x in xs:
        while kept[at + 1][0] < x:
            at += 1
        (a, u), (b, v) = kept[at], kept[at + 1]
        answer.append(v if x == b else u + (v - u) * (x - a) / (b - a))
    return answer


def _turns_down(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - b[0]) >= (c[1] - b[1]) * (b[0] - a[0])


def _masses(xs: list[float], curve: list[float]) -> list[float]:
    """P-masses of the discrete pair whose hockey-stick curve has these corners: x·Δ(slope)."""
    slopes = [(curve[0] - 1.0) / xs[0]]
    slopes += [(v - u) / (b - a) for a, b, u, v in zip(xs, xs[1:], curve, curve[1:])]
    slopes.append(0.0)
    return [max(x * (after - before), 0.0) for x, before, after in zip(xs, slopes, slopes[1:])]


# --- many steps ----------------------------------------------------------------------------


def transform(values: list[complex]) -> list[complex]:
    """The discrete Fourier transform of 2^n values (Cooley and Tukey 1965)."""
    size = len(values)
    if size == 1:
        return values
    even, odd = transform(values[::2]), transform(values[1::2])
    turned = [turn * value for turn, value in zip(_turns(size), odd)]
    return [a + b for a, b in zip(even, turned)] + [a - b for a, b in zip(even, turned)]


_TURNS: dict[int, list[complex]] = {}


def _turns(size: int) -> list[complex]:
    if size not in _TURNS:
        _TURNS[size] = [cmath.exp(-2j * math.pi * k / size) for k in range(size // 2)]
    return _TURNS[size]


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
