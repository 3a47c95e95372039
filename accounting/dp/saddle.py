"""Where to look for a scale of noise: the composed privacy loss, inverted along one line.

δ(ε) = (1/2πi) ∫ exp(K(z) − zε) / (z (z + 1)) dz over a line Re z = θ > 0, with K the logarithm of
the privacy loss' moment generating function (the saddle-point accountant, arXiv 2208.09595; θ + 1
is a Rényi order). K adds up over events and is smooth in log(noise_multiplier), so it is computed
at a few noise levels and interpolated: a plan of any length costs some milliseconds. Accurate,
but no certified bound, and only for removing a unit: nothing here is ever shown. Whoever uses it
asks an accountant about the answer.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import brentq

from accounting.dp.events import PrivacyEvent
from accounting.dp.moments import Line, along, at_tilts, variance, work
from accounting.dp.sampling import Floats

_LEAST_TILT, _TILT_RATIO = 0.05, 1.2
_START_WINDOW = 2.0
_LINE_WINDOW, _MOST_WINDOWS = 1.2, 2
_BLUR = 0.12
_TILT_SHARE = 0.37  # of the saddle's tilt; at that itself a heavy tail outweighs the rest
_LINE_COUNT = (32, 1000)
_MOST_WORK = 6e4  # exponentials for each noise; beyond, asking an accountant is quicker
_LEAST_NODES, _NODES_PER_E = 6, 6.0
_TOLERANCE = 1e-7

Values = Any  # an array of floats, or of complex numbers along a line
OfStep = Callable[[float, float], Values]


@dataclass(frozen=True)
class Rounds:
    """Rounds whose noise is known up to one scale; `fixed` happens whatever the scale."""

    shape: tuple[float, ...]
    sample_rate: float
    steps: int
    fixed: tuple[PrivacyEvent, ...] = ()


class _Sum:
    """Something additive over all rounds and what is fixed, at any scale from `low` to `high`.

    In log(noise_multiplier) the logarithm is interpolated where everything is positive, else the
    value times noise_multiplier², which is nearly constant.
    """

    def __init__(
        self, rounds: Rounds, ends: tuple[float, float], of_step: OfStep, *, positive: bool = True
    ) -> None:
        factors, counts = np.unique(np.array(rounds.shape), return_counts=True)
        self._logs, self._steps = np.log(factors), counts * float(rounds.steps)
        low, high = math.log(ends[0]) + self._logs[0], math.log(ends[1]) + self._logs[-1]
        self._nodes, self._positive = _chebyshev(low, high), positive
        values = np.array([of_step(math.exp(n), rounds.sample_rate) for n in self._nodes])
        self._values = np.log(values) if positive else (values.T * np.exp(2.0 * self._nodes)).T
        self._fixed = sum(
            event.steps * of_step(event.noise_multiplier, event.sample_rate)
            for event in rounds.fixed
        )

    def at(self, log_scale: float) -> Values:
        """The sum at a scale."""
        places = self._logs + log_scale
        weights = _weights(self._nodes, places)
        if self._positive:
            return self._steps @ np.exp(weights @ self._values) + self._fixed
        return ((self._steps * np.exp(-2.0 * places)) @ weights) @ self._values + self._fixed


def find_scale(rounds: Rounds, epsilon: float, delta: float, least: float, most: float) -> float:
    """The scale at which the composed ε is `epsilon`, very nearly; `least` where that is enough.

    Of equal rounds an accountant tells more quickly than the integral: there, and where that fails
    or would be long, the saddle point's own height must do, which is some per cent off. `most`
    where nothing is enough.
    """
    start, tilt = by_saddle(rounds, epsilon, delta, (least, most))
    with np.errstate(all="ignore"):
        if start <= least or start >= most or len(set(rounds.shape)) == 1:
            return min(max(start, least), most)
        found = _by_line(rounds, epsilon, delta, start, _TILT_SHARE * tilt)
        return min(max(found, least), most)


def scale_by_renyi(
    rounds: Rounds, epsilon: float, delta: float, tilts: Floats, ends: tuple[float, float]
) -> float:
    """The scale at which Rényi divergence at the orders `tilts` + 1 proves about (ε, δ)."""

    def excess(moments: Floats) -> float:
        losses = (moments - np.log(delta * (tilts + 1.0))) / tilts - np.log1p(1.0 / tilts)
        return math.log(max(float(losses.min()), 1e-9) / epsilon)

    with np.errstate(all="ignore"):
        return _solved(rounds, _by_gauss(rounds, epsilon, delta, ends), ends, tilts, excess)[0]


@lru_cache(maxsize=256)
def by_saddle(
    rounds: Rounds, epsilon: float, delta: float, ends: tuple[float, float]
) -> tuple[float, float]:
    """The scale at which the saddle point's own height gives δ, and the tilt of that point."""
    tilts, log_delta = _tilts(epsilon, delta), math.log(delta)

    def excess(moments: Floats) -> float:
        return _height(moments, tilts, epsilon)[0] - log_delta

    with np.errstate(all="ignore"):
        guess = _by_gauss(rounds, epsilon, delta, ends)
        scale, moments = _solved(rounds, guess, ends, tilts, excess)
        tilt = float(tilts[-1]) if moments is None else _height(moments, tilts, epsilon)[1]
    return scale, tilt


def _solved(
    rounds: Rounds,
    guess: float,
    ends: tuple[float, float],
    tilts: Floats,
    excess: Callable[[Floats], float],
) -> tuple[float, Floats | None]:
    """The scale at which `excess` of the moments at `tilts`, falling, is 0; with those moments.

    The largest scale, and no moments, where even there it is above. Where nearly all of the loss
    is one rare event the interpolated moments of two windows may contradict each other at their
    common end; then that end must do, for everything here is an estimate.
    """
    least, most = ends
    guess = min(max(guess, least), most)
    low, high = max(least, guess / _START_WINDOW), min(most, guess * _START_WINDOW)
    went = 0
    while True:
        moments = _Sum(rounds, (low, high), lambda n, q: at_tilts(n, q, tilts))

        def at(log_scale: float, moments: _Sum = moments) -> float:
            return excess(moments.at(log_scale))

        if at(math.log(high)) > 0:
            if high >= most:
                return most, None
            if went < 0:
                return high, moments.at(math.log(high))
            went, low, high = 1, high, min(most, high * _START_WINDOW**2)
        elif at(math.log(low)) < 0 and low > least:
            if went > 0:
                return low, moments.at(math.log(low))
            went, low, high = -1, max(least, low / _START_WINDOW**2), low
        else:
            found = _root(at, math.log(low), math.log(high))
            return low if found == math.log(low) else math.exp(found), moments.at(found)


def _by_gauss(rounds: Rounds, epsilon: float, delta: float, ends: tuple[float, float]) -> float:
    """A first guess: the scale at which the loss' spread alone would give about (ε, δ)."""
    shape = np.array(rounds.shape)
    quantile = math.sqrt(2.0 * math.log(1.25 / delta))
    budget = (math.sqrt(quantile**2 + 2.0 * epsilon) - quantile) ** 2

    def excess(log_scale: float) -> float:
        growth = np.expm1(np.minimum((math.exp(log_scale) * shape) ** -2.0, 500.0))
        return math.log(rounds.steps * rounds.sample_rate**2 * float(growth.sum()) / budget)

    return math.exp(_root(excess, math.log(ends[0]), math.log(ends[1])))


def _tilts(epsilon: float, delta: float) -> Floats:
    """Where the saddle point may lie: about −log(δ)/ε at most, and half of that for a Gaussian."""
    most = min(max(-3.0 * math.log(delta) / epsilon, 30.0), 1e5)
    count = math.ceil(math.log(most / _LEAST_TILT) / math.log(_TILT_RATIO))
    found: Floats = np.geomspace(_LEAST_TILT, most, count)
    return found


def _height(moments: Floats, tilts: Floats, epsilon: float) -> tuple[float, float]:
    """log δ(ε) by the saddle point's height and curvature, and its tilt."""
    exponents = moments - tilts * epsilon - np.log(tilts * (tilts + 1.0))
    at = min(max(int(np.argmin(exponents)), 1), len(tilts) - 2)
    logs = math.log(tilts[1] / tilts[0])
    curve = exponents[at - 1] - 2.0 * exponents[at] + exponents[at + 1]
    bend = max(curve / (logs * tilts[at]) ** 2, 1e-12)
    return float(exponents[at] - 0.5 * math.log(2.0 * math.pi * bend)), float(tilts[at])


def _by_line(rounds: Rounds, epsilon: float, delta: float, start: float, tilt: float) -> float:
    """The scale at which δ(ε) is `delta`, by the integral; `start` if it is not near that."""
    line, kernel = _line(rounds, start, tilt)
    low, high = start / _LINE_WINDOW, start * _LINE_WINDOW
    for _ in range(_MOST_WINDOWS):
        if _work(rounds, low, high, line) > _MOST_WORK * len(set(rounds.shape)):
            break
        moments = _Sum(rounds, (low, high), lambda n, q: along(n, q, line), positive=False)

        def excess(log_scale: float, moments: _Sum = moments) -> float:
            exponents = moments.at(log_scale) - line.points * epsilon
            highest = float(exponents[0].real)
            found = float(np.sum((np.exp(exponents - highest) * kernel).real))
            return highest + math.log(max(found, 1e-300)) - math.log(delta)

        if excess(math.log(low)) < 0:
            low, high = low / _LINE_WINDOW**2, low
        elif excess(math.log(high)) > 0:
            low, high = high, high * _LINE_WINDOW**2
        else:
            return math.exp(_root(excess, math.log(low), math.log(high)))
    return start


def _line(rounds: Rounds, scale: float, tilt: float) -> tuple[Line, Values]:
    """Points dense and far enough for the loss tilted by `tilt`, and their weights.

    Its spread s decides. What a stride of 2π/P cannot tell apart lies P away, where it has to be
    negligible. A loss that sits on nearly one value (nobody was sampled) never falls off along the
    line; so the loss is blurred by a small part of s, twice, to take back the blur's first effect.
    """
    total = _Sum(rounds, (scale / 1.01, scale), lambda n, q: variance(n, q, tilt))
    spread = math.sqrt(float(total.at(math.log(scale))))
    stride = 2.0 * math.pi / (12.0 * spread + 25.0 / tilt)
    blur = _BLUR * spread
    count = int(np.clip(math.ceil(5.0 / blur / stride), *_LINE_COUNT))
    line = Line(tilt, stride, count)
    fall = (line.points.imag * blur) ** 2
    weights = (4.0 * np.exp(-0.5 * fall) - np.exp(-2.0 * fall)) / 3.0
    kernel = stride / math.pi * weights / (line.points * (line.points + 1.0))
    kernel[0] *= 0.5
    return line, kernel


def _work(rounds: Rounds, low: float, high: float, line: Line) -> float:
    """How many exponentials the moments along a line take, at all nodes."""
    quietest, loudest = low * min(rounds.shape), high * max(rounds.shape)
    nodes = _chebyshev(math.log(quietest), math.log(loudest))
    return float(sum(work(math.exp(node), line) for node in nodes))


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function is 0; an end where it does not change its sign."""
    if excess(low) <= 0:
        return low
    if excess(high) >= 0:
        return high
    return float(brentq(excess, low, high, xtol=_TOLERANCE))


def _chebyshev(low: float, high: float) -> Floats:
    count = _LEAST_NODES + math.ceil(_NODES_PER_E * (high - low))
    angles = (np.arange(count) + 0.5) * math.pi / count
    nodes: Floats = 0.5 * (low + high) - 0.5 * (high - low) * np.cos(angles)
    return nodes


def _weights(nodes: Floats, places: Floats) -> Floats:
    """Barycentric Lagrange weights: one row per place, one column per Chebyshev node."""
    count = len(nodes)
    at_node = np.sin((np.arange(count) + 0.5) * math.pi / count) * (-1.0) ** np.arange(count)
    gaps = places[:, None] - nodes[None, :]
    gaps[gaps == 0.0] = 1e-300
    terms = at_node / gaps
    weights: Floats = terms / terms.sum(axis=1, keepdims=True)
    return weights
