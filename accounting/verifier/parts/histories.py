"""The ε of a whole history as a certified interval, quick where it grows row by row."""

from __future__ import annotations

import math
from operator import mul
from typing import NamedTuple

from accounting.verifier.parts.losses import (
    FINENESS,
    MOST_POINTS,
    NEGLIGIBLE,
    ROUNDING,
    SPREAD,
    History,
    Price,
    Spectra,
    Steps,
    TooLarge,
    epsilon_at,
    log_ratio,
    masses_of,
    one_step,
    spectra,
    weights,
)

KEPT_PRODUCTS, KEPT_SPECTRA, KEPT_STEPS, KEPT_MOMENTS = 12, 64, 512, 100_000


class Interval(NamedTuple):
    """ε is certainly in [low, high]."""

    low: float
    high: float


class Grid(NamedTuple):
    """Losses k·interval; transforms of `size` points; one of the two directions."""

    interval: float
    size: int
    remove: bool


class Product(NamedTuple):
    """The transform of a history without its full-batch part, kept to go on from."""

    grid: Grid
    history: History
    spectra: Spectra


class Kept(dict):
    """Remembers the newest entries only, so that a long ledger does not fill the memory."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __setitem__(self, key: object, value: object) -> None:
        """Forget the oldest entry where there are too many."""
        super().__setitem__(key, value)
        if len(self) > self.most:
            del self[next(iter(self))]


class Composer:
    """Composes histories. The transforms of steps are kept, and the last products."""

    def __init__(self) -> None:
        self._steps: dict[tuple[Price, float, bool], Steps] = Kept(KEPT_STEPS)
        self._moments: dict[tuple[Price, float, bool, int], float] = Kept(KEPT_MOMENTS)
        self._spectra: dict[tuple[Price, Grid], Spectra] = Kept(KEPT_SPECTRA)
        self._variances: dict[Price, float] = {}
        self._products: list[Product] = []
        self._known: dict[tuple[tuple[tuple[Price, int], ...], float], Interval] = {}

    def epsilon(self, history: History, delta: float) -> Interval:
        """Where the ε of a history at δ lies. Raises TooLarge where that cannot be said."""
        history = gathered(history)
        key = (tuple(sorted(history.items())), delta)
        if key not in self._known:
            try:
                self._known[key] = self._epsilon(history, delta)
            except (ArithmeticError, ValueError) as error:
                raise TooLarge("the numbers leave what floating point can hold") from error
        return self._known[key]

    def _epsilon(self, history: History, delta: float) -> Interval:
        if not history:
            return Interval(0.0, 0.0)
        total = math.fsum(n * self._variance(price) for price, n in history.items())
        # A power of two that is fine beside the average step, so that a longer history keeps it.
        fine = math.log2(FINENESS * math.sqrt(total / sum(history.values())))
        sides = [self._side(history, delta, 2.0 ** math.floor(fine), way) for way in (True, False)]
        return Interval(max(s.low for s in sides), max(s.high for s in sides))

    def _variance(self, price: Price) -> float:
        if price not in self._variances:
            self._variances[price] = variance(price)
        return self._variances[price]

    def _side(self, history: History, delta: float, interval: float, remove: bool) -> Interval:
        """One direction; on a coarser grid where a transform would be too long."""
        first, last = self._window(history, delta * NEGLIGIBLE, interval, remove)
        longest = max(len(self._step(p, interval, remove).above) for p in history)
        needed = max(last - first + 1, longest)
        if needed > MOST_POINTS:
            return self._side(history, delta, 2.0 * interval, remove)
        grid = Grid(interval, 2 ** math.ceil(math.log2(needed)), remove)
        above, below = masses_of(self._composed(history, grid))
        steps = {price: self._step(price, interval, remove) for price in history}
        start = (first - sum(n * steps[p].first for p, n in history.items())) % grid.size
        losses = [(first + k) * interval for k in range(grid.size)]
        doubt = delta * NEGLIGIBLE + ROUNDING * (20 + sum(history.values()))
        finite = math.fsum(n * math.log1p(-steps[p].infinite) for p, n in history.items())
        return Interval(
            epsilon_at(losses, below[start:] + below[:start], delta + 2.0 * doubt),
            epsilon_at(losses, above[start:] + above[:start], delta - doubt + math.expm1(finite)),
        )

    def _step(self, price: Price, interval: float, remove: bool) -> Steps:
        remove = remove or price[1] == 1.0  # without sampling both directions are the same
        key = (price, interval, remove)
        if key not in self._steps:
            self._steps[key] = one_step(price, interval, remove)
        return self._steps[key]

    def _window(
        self, history: History, negligible: float, interval: float, remove: bool
    ) -> tuple[int, int]:
        """Grid indices outside which lies less than `negligible` (Chernoff's bound)."""
        deviation = math.sqrt(math.fsum(n * self._variance(p) for p, n in history.items()))
        middle = round(-2.0 * math.log2(deviation))
        ends: dict[int, list[float]] = {1: [], -1: []}
        for place in range(middle - 6, middle + 12):
            for side in ends:
                moment = math.fsum(
                    n * self._moment(p, interval, remove, side * (place + 1000))
                    for p, n in history.items()
                )
                ends[side].append((moment - math.log(negligible / 2.0)) / 2.0 ** (0.5 * place))
        first, last = -min(ends[-1]), min(ends[1])
        return math.floor(first / interval), math.ceil(last / interval)

    def _moment(self, price: Price, interval: float, remove: bool, code: int) -> float:
        """log E[exp(±λ·loss)] with λ = √2^(|code| − 1000): the larger of above and below."""
        key = (price, interval, remove or price[1] == 1.0, code)
        if key not in self._moments:
            order = math.copysign(2.0 ** (0.5 * (abs(code) - 1000)), code)
            self._moments[key] = moment(self._step(price, interval, remove), order * interval)
        return self._moments[key]

    def _composed(self, history: History, grid: Grid) -> Spectra:
        sampled = {price: n for price, n in history.items() if price[1] < 1.0}
        found = self._nearest(sampled, grid)
        product = found.spectra if found else None
        for price, n in sampled.items():
            more = n - (found.history.get(price, 0) if found else 0)
            if more:
                product = multiplied(product, self._spectrum(price, grid), more)
        if product is not None and (found is None or found.history != sampled):
            self._products = [*self._products[1 - KEPT_PRODUCTS :], Product(grid, sampled, product)]
        for price in history.keys() - sampled.keys():
            product = multiplied(product, self._spectrum(price, grid), history[price])
        if product is None:
            raise TooLarge("an empty history has no loss")
        return product

    def _nearest(self, sampled: History, grid: Grid) -> Product | None:
        """The longest kept product that `sampled` goes on from."""
        fitting = [
            kept
            for kept in self._products
            if kept.grid == grid and all(n <= sampled.get(p, 0) for p, n in kept.history.items())
        ]
        return max(fitting, key=lambda kept: sum(kept.history.values()), default=None)

    def _spectrum(self, price: Price, grid: Grid) -> Spectra:
        grid = grid._replace(remove=grid.remove or price[1] == 1.0)
        if (price, grid) not in self._spectra:
            step = self._step(price, grid.interval, grid.remove)
            self._spectra[price, grid] = spectra(step, grid.size)
        return self._spectra[price, grid]


def gathered(history: History) -> History:
    """The same, with all full-batch Gaussian steps as the one that they exactly compose to."""
    sampled = {price: n for price, n in history.items() if price[1] < 1.0}
    precision = math.fsum(n * (p[2] / p[0]) ** 2 for p, n in history.items() if p[1] == 1.0)
    return {**sampled, (precision**-0.5, 1.0, 1): 1} if precision else sampled


def variance(price: Price) -> float:
    """The variance of one step's privacy loss, in the direction where it is smaller."""
    noise, rate, rows = price
    if rate == 1.0:
        return (rows / noise) ** 2
    mixture = weights(rate, rows)
    count = 8 * (math.ceil(rows / noise) + 2 * math.ceil(SPREAD))
    places = [-SPREAD * noise + k * noise / 8.0 for k in range(min(count, 20_000))]
    losses = [log_ratio(z, noise, mixture)[0] for z in places]
    plain = [math.exp(-0.5 * (z / noise) ** 2) for z in places]
    mixed = [w * math.exp(loss) for w, loss in zip(plain, losses)]
    return min(_variance_of(losses, plain), _variance_of(losses, mixed))


def _variance_of(values: list[float], masses: list[float]) -> float:
    total = math.fsum(masses)
    mean = math.fsum(v * m for v, m in zip(values, masses)) / total
    return max(math.fsum(m * (v - mean) ** 2 for v, m in zip(values, masses)) / total, 1e-300)


def moment(step: Steps, rate: float) -> float:
    """log E[exp(rate·index)], the larger of the masses above and below; `rate` per grid point."""
    top = max(rate * step.first, rate * (step.first + len(step.above)))
    growth = [math.exp(rate * (step.first + k) - top) for k in range(len(step.above))]
    sums = [sum(map(mul, masses, growth)) for masses in (step.above, step.below)]
    return top + math.log(max(sums)) if max(sums) > 0.0 else math.inf


def multiplied(product: Spectra | None, factor: Spectra, count: int) -> Spectra:
    """`product` (1 where None) composed with `count` more steps."""
    powers = factor if count == 1 else Spectra(*([v**count for v in side] for side in factor))
    if product is None:
        return powers
    return Spectra(*(list(map(mul, old, new)) for old, new in zip(product, powers)))
