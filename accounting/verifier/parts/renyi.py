"""Rényi accounting, for the rows whose ε was derived that way (filters at a sealed order).

Moments: Mironov, Talwar and Zhang 2019 (arXiv 1908.10530): a finite sum of positive terms at
whole orders; at the others, and for several rows of one unit, the integral itself, by the
trapezoid rule, which converges geometrically here. From a Rényi divergence to (ε, δ): Canonne,
Kamath and Steinke 2020 (arXiv 2004.00010, proposition 12), and Bretagnolle-Huber where ε = 0.
"""

from __future__ import annotations

import math
from functools import lru_cache

from accounting.verifier.parts.losses import (
    History,
    Price,
    TooLarge,
    log_binomial,
    log_ratio,
    weights,
)

# The orders that a figure "rdp" takes the best of, as its specification lists them.
ORDERS = (
    [1.02, 1.05]
    + [n / 10 for n in range(11, 110) if n % 10]
    + [float(n) for n in range(2, 64)]
    + [64.0, 72.0, 80.0, 96.0, 112.0, 128.0, 160.0, 192.0, 256.0, 320.0, 384.0, 512.0, 768.0]
    + [1024.0]
)
MOST_PLACES = 400_000
LEAST_NOISE, MANY_ROWS, REACH = 0.03, 32, 4096.0


class Renyi:
    """Remembers the divergence of one step at each order."""

    def __init__(self) -> None:
        self._known: dict[tuple[Price, float], float] = {}
        self._figures: dict[tuple[object, ...], float] = {}

    def at(self, history: History, order: float) -> float:
        """The Rényi divergence of a whole history at one order: composing is adding."""
        return math.fsum(n * self._step(price, order) for price, n in history.items())

    def epsilon(self, history: History, delta: float, order: float | None = None) -> float:
        """The ε that one order proves at δ; the least that any of ORDERS proves where None."""
        key = (tuple(sorted(history.items())), delta, order)
        if key not in self._figures:
            self._figures[key] = self._epsilon(history, delta, order)
        return self._figures[key]

    def _epsilon(self, history: History, delta: float, order: float | None) -> float:
        if not history:
            return 0.0
        if order is not None:
            return converted(self.at(history, order), order, delta)
        if all(rows == 1 or rate == 1.0 for _, rate, rows in history):
            return min(converted(self.at(history, each), each, delta) for each in ORDERS)
        return self._sought(history, delta)

    def _sought(self, history: History, delta: float) -> float:
        """The least of all orders by bisection, for integrals take time: ε falls, then rises."""
        orders = sorted(ORDERS)
        low, high = 0, len(orders) - 1
        while low < high:
            here, next_ = (
                converted(self.at(history, orders[k]), orders[k], delta)
                for k in ((low + high) // 2, (low + high) // 2 + 1)
            )
            if here <= next_:
                high = (low + high) // 2
            else:
                low = (low + high) // 2 + 1
        return converted(self.at(history, orders[low]), orders[low], delta)

    def _step(self, price: Price, order: float) -> float:
        if (price, order) not in self._known:
            try:
                self._known[price, order] = divergence(price, order)
            except (OverflowError, ValueError, ZeroDivisionError) as error:
                raise TooLarge("a Rényi divergence leaves what floating point holds") from error
        return self._known[price, order]


def converted(divergence_: float, order: float, delta: float) -> float:
    """ε at δ from the divergence at one order."""
    if delta * delta + math.expm1(-divergence_) > 0.0:
        return 0.0
    loss = divergence_ + math.log1p(-1.0 / order) - math.log(delta * order) / (order - 1.0)
    return max(loss, 0.0)


def admitted(limit: float, delta: float, order: float) -> float:
    """The largest divergence at `order` that still proves (limit, δ)."""
    free = -math.log1p(-delta * delta)
    return max(limit - math.log1p(-1.0 / order) + math.log(delta * order) / (order - 1.0), free)


def whole_budget(limit: float, delta: float, order: float) -> float:
    """What a study may come to at `order` whose own filter keeps (limit, δ) at its best order."""
    own = best_order(limit, delta)
    return admitted(limit, delta, own) * max(1.0, order / own)


def filling(divergence_: float, order: float) -> Price:
    """The one full-batch Gaussian step of this divergence: it stands for what is not chosen yet."""
    return (math.sqrt(order / (2.0 * divergence_)), 1.0, 1)


def best_order(limit: float, delta: float) -> float:
    """The order at which a budget (limit, δ) admits most Gaussian steps: known in advance."""
    return max(
        ORDERS,
        key=lambda a: (limit - math.log1p(-1.0 / a) + math.log(delta * a) / (a - 1.0)) / a,
    )


def divergence(price: Price, order: float) -> float:
    """The Rényi divergence of one step at `order`, in the direction where it is larger.

    Where an integral would take too many points, convexity in the mixture bounds it from above;
    figures that are written are made in the same way.
    """
    noise, rate, rows = price
    if rate == 1.0:
        return order * (rows / noise) ** 2 / 2.0
    if rows == 1 and order == int(order):
        return _summed(noise, rate, int(order)) / (order - 1.0)
    if noise < LEAST_NOISE or (rows > 1 and (rows > MANY_ROWS or order * rows > REACH * noise)):
        return _convex(noise, rate, rows, order) / (order - 1.0)
    moment_ = _integrated(price, order)
    if rows > 1:
        # For one row, removing it is known to cost more than adding it.
        moment_ = max(moment_, _integrated(price, 1.0 - order))
        moment_ = min(moment_, _convex(noise, rate, rows, order))
    return moment_ / (order - 1.0)


def _convex(noise: float, rate: float, rows: int, order: float) -> float:
    """log Σ_j Binomial(rows, q)(j) exp(a(a − 1) j² / 2σ²): the mixture taken out of the power."""
    logs = [order * (order - 1.0) * j * j / (2.0 * noise**2) for j in range(rows + 1)]
    logs = [log + log_binomial(rows, j, rate) for j, log in enumerate(logs)]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(log - top) for log in logs))


def _summed(noise: float, rate: float, order: int) -> float:
    """log Σ_i C(order, i) (1 − q)^(order − i) q^i exp((i² − i) / 2σ²), without its 1."""
    logs: list[float] = []
    for i in range(2, order + 1):
        growth = (i * i - i) / (2.0 * noise**2)
        logs.append(log_binomial(order, i, rate) + growth + math.log(-math.expm1(-growth)))
    return _log_one_plus(logs)


def _integrated(price: Price, power: float) -> float:
    """log E[f^power] over N(0, σ²), f = P/Q: as 1 + E[f^a − 1 − a(f − 1)], which never cancels."""
    noise, _, rows = price
    # Orders up to 11 share their points, and with them the costly part.
    high = rows * max(power, 11.0) + 13.0 * noise
    low = rows * min(power, 0.0) - 13.0 * noise
    weighed = _weighed(price, low, high)
    return _log_one_plus([_log_excess(power, log_f) + log_w for log_f, log_w in weighed])


@lru_cache(maxsize=64)
def _weighed(price: Price, low: float, high: float) -> list[tuple[float, float]]:
    """At each point of the trapezoid rule: log(P/Q), and the logarithm of the point's weight."""
    noise, rate, rows = price
    step, mixture = min(noise / 4.0, noise**2 / 2.0), weights(rate, rows)
    count = math.ceil((high - low) / step)
    if count > MOST_PLACES:
        raise TooLarge(f"with noise multiplier {noise:g} the integral takes too many points")
    scale = math.log(step) - math.log(noise * math.sqrt(2.0 * math.pi))
    places = [low + k * step for k in range(count + 1)]
    return [(log_ratio(z, noise, mixture)[0], scale - 0.5 * (z / noise) ** 2) for z in places]


def _log_excess(power: float, log_f: float) -> float:
    """log(f^a − 1 − a(f − 1)), a > 1 or a < 0; −inf where floating point says 0."""
    if log_f < 20.0 and power * log_f < 600.0:
        excess = math.expm1(power * log_f) - power * math.expm1(log_f)
        return math.log(excess) if excess > 0.0 else -math.inf
    if power * log_f >= log_f:  # f^a outgrows a·f
        return power * log_f + math.log1p(-power * math.exp((1.0 - power) * log_f))
    return log_f + math.log(-power)


def _log_one_plus(logs: list[float]) -> float:
    """log(1 + Σ exp(logs))."""
    top = max(max(logs), 0.0)
    total = math.fsum(math.exp(value - top) for value in logs)
    return math.log1p(total) if top == 0.0 else top + math.log(math.exp(-top) + total)
