"""Reading ε off the transform of a loss, without going back to the loss itself where it can.

δ(ε) is a sum over the cells above ε. Summed over a frequency first it is a geometric series, so
a few dozen frequencies answer it; where many are left the transform is inverted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft

Complexes = NDArray[np.complex128]
Tails = Callable[[int], tuple[float, float]]

_FEW = 1024
_TRIES = 200


@dataclass(frozen=True)
class Reading:
    """δ(ε) of one composed loss; `extra` is added to δ (what may be infinite, what was cut off).

    A cell's loss is its index · interval + `shift`. `tails(a)` is the mass from cell index a
    upwards, and the same weighed by exp(−(loss − the loss of a)).
    """

    tails: Tails
    interval: float
    lowest: int
    highest: int
    extra: float
    shift: float = 0.0

    def delta(self, epsilon: float) -> float:
        """The divergence at epsilon >= 0."""
        at = self._above(epsilon)
        mass, weighed = self._tails(at)
        return self.extra + mass - math.exp(epsilon - self._loss(at)) * weighed

    def epsilon(self, delta: float, start: float) -> float:
        """The smallest ε >= 0 at which the divergence is at most delta; infinity if none is.

        By Newton's rule on log δ from `start`, with bisection where that leads astray. Within a
        cell the divergence is linear in exp(ε) and the last step exact.
        """
        top = self._loss(self.highest)
        if self.extra >= delta:
            return math.inf
        if top <= 0 or self.delta(0.0) <= delta:
            return 0.0
        low, high, guess = 0.0, top, min(max(start, 0.0), top)
        for _ in range(_TRIES):
            at = self._above(guess)
            mass, weighed = self._tails(at)
            excess = self.extra + mass - delta
            upper, lower = self._loss(at), self._loss(at - 1)
            if weighed > 0 and excess > 0:
                exact = upper + math.log(excess / weighed)
                if lower - 1e-12 <= exact <= upper + 1e-12:
                    return max(exact, 0.0)
            lost = math.exp(guess - upper) * weighed
            found = excess + delta - lost
            low, high = (guess, high) if found > delta else (low, guess)
            guess = self._next(guess, found, lost, delta, low, high)
            if high - low < self.interval * 1e-6:
                break
        return high

    def _next(
        self, guess: float, found: float, slope: float, delta: float, low: float, high: float
    ) -> float:
        if found > 0 and slope > 0:
            newton = guess + math.log(found / delta) * found / slope
            if low < newton < high:
                return newton
        return (low + high) / 2

    def _loss(self, index: int) -> float:
        return index * self.interval + self.shift

    def _above(self, epsilon: float) -> int:
        return math.floor((epsilon - self.shift) / self.interval) + 1

    def _tails(self, at: int) -> tuple[float, float]:
        if at > self.highest:
            return 0.0, 0.0
        return self.tails(max(at, self.lowest))


def tails(values: Complexes, cells: int, interval: float, lowest: int) -> Tails:
    """Of the first frequencies of a transform on a ring of `cells`, from index `lowest` on."""
    way = _by_frequency if values.size <= _FEW else _by_cell
    return way(values, cells, interval, lowest)


def _by_frequency(values: Complexes, cells: int, interval: float, lowest: int) -> Tails:
    number = np.arange(values.size)
    twice = np.where((number == 0) | (2 * number == cells), 1.0, 2.0)
    turn = 2j * np.pi / cells
    shares = twice * values / cells
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = shares / (1.0 - np.exp(turn * number))
    plain[0] = 0.0
    weighed = shares / (1.0 - np.exp(turn * number - interval))
    both = np.array([plain, weighed])
    base = (both @ np.exp(turn * ((lowest * number) % cells))).real
    flat = float(values[0].real) / cells

    def tails(at: int) -> tuple[float, float]:
        left = lowest + cells - at
        mass, inner = (both @ np.exp(turn * ((at * number) % cells))).real
        return (
            float(mass - base[0] + flat * left),
            float(inner - math.exp(-left * interval) * base[1]),
        )

    return tails


def _by_cell(values: Complexes, cells: int, interval: float, lowest: int) -> Tails:
    padded = np.zeros(cells // 2 + 1, complex)
    padded[: values.size] = values
    masses = np.roll(irfft(padded, cells), -lowest)
    sums = np.cumsum(masses[::-1])[::-1]
    # Weighed where it is asked for, a few times; scipy.signal's recursion would do it for all
    # cells, and loading it takes longer than all else that a process of the hub loads of scipy.
    fading = np.exp(-interval * np.arange(cells))

    def tails(at: int) -> tuple[float, float]:
        here = at - lowest
        weighed = np.einsum("i,i->", masses[here:], fading[: cells - here])
        return float(sums[here]), float(weighed)

    return tails
