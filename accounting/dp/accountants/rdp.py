"""The Rényi accountant: a quick upper bound on ε, exact at every order that it looks at.

The moments are those of Mironov, Talwar and Zhang 2019 (arXiv 1908.10530, sections 3.1 and 3.3);
the conversion to (ε, δ) is Canonne, Kamath and Steinke 2020 (arXiv 2004.00010, proposition 12),
with δ ≤ √(1 − exp(−KL)) where that already gives ε = 0. `dp_accounting` 0.6 is not used here:
at fractional orders it adds binomial terms whose sign is negative, and comes out too high.
"""

import math
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from scipy.special import gammaln, logsumexp

from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure, bounded, check_delta
from accounting.dp.sampling import Floats, log_binomial, log_likelihood_ratio, log_mixed

_FRACTIONAL = [1.02, 1.05] + [n / 10 for n in range(11, 110) if n % 10]
_WHOLE = [*range(2, 64), 64, 72, 80, 96, 112, 128, 160, 192, 256, 320, 384, 512, 768, 1024]
ORDERS: Floats = np.array(_FRACTIONAL + _WHOLE)
_MOST_ROWS_EXACT = 32
_MOST_REACH = 4096.0  # of order · rows_per_unit, in multiples of the noise
_LEAST_NOISE = 0.03  # below, the integration grid would be large and ε is in the hundreds anyway


class RdpAccountant:
    """Composes by adding Rényi divergences; the best of all orders gives ε."""

    name = "rdp"
    version = "cloister 1 (RDP, exact moments)"
    discretisation = f"{len(ORDERS)} orders from {ORDERS.min():g} to {ORDERS.max():g}"
    error = "an upper bound: 1.6 times the tight figure in the median, more for small epsilon"

    def epsilon(self, events: Sequence[PrivacyEvent], delta: float) -> Figure:
        """See `Accountant`. Valid for a plan fixed beforehand: the order is chosen afterwards."""
        check_delta(delta)
        best = float(np.min(to_epsilons(composed(events), delta))) if events else 0.0
        return Figure(bounded(best, self.name), delta, self.name, self.version, self.discretisation)


def composed(events: Sequence[PrivacyEvent]) -> Floats:
    """The Rényi divergence of all events together, at each of `ORDERS`."""
    total = np.zeros_like(ORDERS)
    for event in events:
        one = curve(event.noise_multiplier, event.sample_rate, event.rows_per_unit)
        total += event.steps * one
    return total


def to_epsilons(divergences: Floats, delta: float, orders: Floats = ORDERS) -> Floats:
    """The ε that each of `orders` on its own proves at `delta`. Each alone is a valid bound."""
    loss = divergences + np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)
    free = delta * delta + np.expm1(-divergences) > 0
    return np.where(free, 0.0, np.maximum(loss, 0.0))


@lru_cache(maxsize=8192)
def curve(noise_multiplier: float, sample_rate: float, rows_per_unit: int = 1) -> Floats:
    """Rényi divergence of one step at each of `ORDERS` (read-only)."""
    if sample_rate == 1.0:
        divergences = ORDERS * (rows_per_unit / noise_multiplier) ** 2 / 2
    elif rows_per_unit == 1:
        divergences = _of_one_row(noise_multiplier, sample_rate) / (ORDERS - 1)
    else:
        divergences = _of_rows(noise_multiplier, sample_rate, rows_per_unit) / (ORDERS - 1)
    divergences.flags.writeable = False
    return divergences


def _of_one_row(noise: float, rate: float) -> Floats:
    fractional, whole = np.split(ORDERS, [len(_FRACTIONAL)])
    integrate = _integrated if noise >= _LEAST_NOISE else _convex
    return np.concatenate([integrate(noise, rate, fractional), _summed(noise, rate, whole)])


def _of_rows(noise: float, rate: float, rows: int) -> Floats:
    """log A at all orders for a unit with several rows: the larger of removing and adding it.

    By quadrature where the grid stays small; else by convexity in the mixture, an upper bound
    for both directions.
    """
    bounds = _convex_of_rows(noise, rate, rows)
    if noise < _LEAST_NOISE or rows > _MOST_ROWS_EXACT:
        return bounds
    near = ORDERS * rows <= _MOST_REACH * noise
    exact = [_of_both(noise, rate, rows, order) for order in ORDERS[near]]
    bounds[near] = np.minimum(bounds[near], exact)
    return bounds


def _of_both(noise: float, rate: float, rows: int, order: float) -> float:
    step = min(noise / 4, noise**2 / 2)
    z = np.arange(-12 * noise, order * rows + 12 * noise, step)
    log_f = log_likelihood_ratio(z, noise, rate, rows)
    log_weights = -0.5 * (z / noise) ** 2 + math.log(step / (noise * math.sqrt(2 * math.pi)))
    excess = [_log_excess(np.array(alpha), log_f) for alpha in (order, 1.0 - order)]
    return float(np.logaddexp(0.0, max(logsumexp(each + log_weights) for each in excess)))


def _convex_of_rows(noise: float, rate: float, rows: int) -> Floats:
    taken = np.arange(rows + 1)
    unsampled = (ORDERS * (ORDERS - 1))[:, None] * taken**2 / (2 * noise**2)
    moments: Floats = logsumexp(log_binomial(rows, rate) + unsampled, axis=1)
    return moments


def _summed(noise: float, rate: float, orders: Floats) -> Floats:
    """log A at whole orders, as log(1 + positive terms): nothing cancels, however small q is."""
    i = np.arange(2, orders.max() + 1)
    growth = (i * i - i) / (2 * noise**2)
    weights = i * math.log(rate) + growth + np.log(-np.expm1(-growth)) - i * math.log1p(-rate)
    terms = logsumexp(_log_choose() + weights, axis=1)
    return np.logaddexp(0.0, terms + orders * math.log1p(-rate))


@cache
def _log_choose() -> Floats:
    """The logarithm of `order` choose i: one row per whole order, one column per i from 2."""
    order = np.array(_WHOLE, dtype=float)[:, None]
    i = np.arange(2, order.max() + 1)
    spare = np.maximum(order - i, 0.0)
    choose = gammaln(order + 1) - gammaln(i + 1) - gammaln(spare + 1)
    return np.where(i <= order, choose, -np.inf)


def _integrated(noise: float, rate: float, orders: Floats) -> Floats:
    """log A at fractional orders, A = 1 + E[f^α − 1 − α(f − 1)] with f the likelihood ratio.

    The expectation is over N(0, noise²) and its integrand never negative. The trapezoid rule
    converges geometrically: the integrand is analytic in a strip of half-width π·noise².
    """
    step = min(noise / 4, noise**2 / 2)
    z = np.arange(-12 * noise, orders.max() + 12 * noise, step)
    log_f = log_mixed(rate, (2 * z - 1) / (2 * noise**2))
    log_excess = _log_excess(orders[:, None], log_f)
    log_density = -0.5 * (z / noise) ** 2 - math.log(noise * math.sqrt(2 * math.pi))
    return np.logaddexp(0.0, logsumexp(log_excess + log_density, axis=1) + math.log(step))


def _log_excess(order: Floats, log_f: Floats) -> Floats:
    """log(f^α − 1 − α(f − 1)), α > 1 or α < 0; where f is large, without leaving the logarithm."""
    turn = np.where(order > 1.0, np.minimum(20.0, 600.0 / np.abs(order)), 20.0)  # no overflow
    small, large = np.minimum(log_f, turn), np.maximum(log_f, turn)
    rising = np.maximum(order, 1.01)
    with np.errstate(divide="ignore", over="ignore"):
        near = np.log(np.maximum(np.expm1(order * small) - order * np.expm1(small), 0.0))
        upwards = rising * large + np.log1p(-rising * np.exp((1.0 - rising) * large))
        downwards = np.log(np.maximum(-order, 0.0)) + large
    far = np.where(order > 1.0, upwards, downwards)
    return np.where(log_f < turn, near, far)


def _convex(noise: float, rate: float, orders: Floats) -> Floats:
    """An upper bound on log A: A is convex in the mixture, so at most (1 − q) + q·A(q=1)."""
    unsampled = orders * (orders - 1) / (2 * noise**2)
    return np.logaddexp(math.log1p(-rate), math.log(rate) + unsampled)
