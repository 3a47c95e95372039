"""Exact draws of the discrete Gaussian on the integers, many at a time.

Canonne, Kamath and Steinke 2020 (arXiv 2004.00010, algorithm 3): propose from the discrete Laplace
distribution of scale t = ⌊σ⌋ + 1, accept |y| with probability exp(−(|y| − σ²/t)²/(2σ²)). Their
coins are exact because they compare integers. Ours are exact because every decision is one about
a uniform *real* number U, of which 52 bits are drawn at first:

1. All that is decided are comparisons of −ln U with other numbers: ⌊t·(−ln U)⌋ is geometric, the
   magnitude of a discrete Laplace draw; and −ln V >= x happens with probability exp(−x).
2. float64 gives −ln U with a proved error. Where that error, or the bits of U not yet drawn, leave
   the decision open (about once in a million draws), more bits of U are drawn and the logarithm is
   taken with as many decimal digits as it takes (`decimal`, whose ln is correctly rounded).

So each decision is the one that infinitely many bits would give, and no rounding enters the
distribution. No draw is ever thrown away for being undecided.
"""

from decimal import Context, Decimal, Inexact
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.learning.noise import Keystream

Integers = NDArray[np.int64]
_BITS = 52
# Of a float64 logarithm: numpy promises 4 units in the last place, 2⁻⁵⁰; the rest is for the
# operations that follow it.
_RELATIVE = 2.0**-46
_LEAST_VARIANCE, _MOST_VARIANCE = 2.0**-20, 2.0**100
# More digits than any number here has; a rounding would be an error, not a surprise.
_EXACT = Context(prec=5000, traps=[Inexact])
_BLOCK = 1 << 18


def discrete_gaussian(stream: Keystream, variance: float, count: int) -> Integers:
    """`count` independent draws with P(y) proportional to exp(−y²/(2·variance)), exactly.

    Raises:
        ValueError: the variance is not between 2⁻²⁰ and 2¹⁰⁰ (draws have to fit into 64 bits).
    """
    if not _LEAST_VARIANCE <= variance <= _MOST_VARIANCE:
        raise ValueError(f"variance is {variance!r}; give one from 2^-20 to 2^100")
    found = np.empty(count, dtype=np.int64)
    filled = 0
    while filled < count:
        # About three of four proposals are accepted; too many would be wasted keystream.
        wanted = min(_BLOCK, int((count - filled) * 1.4) + 16)
        kept = _accepted(stream, variance, wanted)[: count - filled]
        found[filled : filled + len(kept)] = kept
        filled += len(kept)
    return found


def _accepted(stream: Keystream, variance: float, count: int) -> Integers:
    """The accepted ones of `count` proposals."""
    scale = int(variance**0.5) + 1
    words = stream.words(count)
    size = _Exponential(stream, words).floor_times(scale)
    negative = (words & np.uint64(1)).astype(bool)  # a bit that the exponential leaves alone
    accept = _Exponential(stream, stream.words(count)).at_least(size, variance, scale)
    accept &= ~(negative & (size == 0))  # or zero would be proposed twice
    return np.where(negative, -size, size)[accept]


class _Exponential:
    """−ln U of independent uniform reals U, whose first 52 bits are the highest of `words`."""

    def __init__(self, stream: Keystream, words: NDArray[np.uint64]) -> None:
        self._stream = stream
        self._known = words >> np.uint64(64 - _BITS)
        middle = self._known.astype(np.float64) + 0.5
        self._value = -np.log(middle * 2.0**-_BITS)
        # U lies within half a step of the middle, where ln changes by less than 1/middle; in the
        # lowest step it has no bound.
        spread = np.where(self._known == 0, np.inf, 1 / middle)
        self._error = (1 + self._value) * _RELATIVE + spread

    def floor_times(self, scale: int) -> Integers:
        """⌊scale · −ln U⌋."""
        low = np.floor((self._value - self._error) * scale)
        high = np.floor((self._value + self._error) * scale)
        found = np.where(low == high, low, 0).astype(np.int64)
        for place in np.flatnonzero(low != high):
            found[place] = self._exact(place).floor_times(scale)
        return found

    def at_least(self, size: Integers, variance: float, scale: int) -> NDArray[np.bool_]:
        """Whether −ln U >= (size − variance/scale)² / (2·variance), for each."""
        deviation = variance**0.5
        distance = size / deviation - deviation / scale
        bound = distance * distance / 2
        margin = self._error + (1 + bound + np.abs(distance)) * _RELATIVE * 4
        found: NDArray[np.bool_] = self._value >= bound
        for place in np.flatnonzero(np.abs(self._value - bound) <= margin):
            found[place] = self._exact(place).at_least(int(size[place]), variance, scale)
        return found

    def _exact(self, place: Any) -> "_Refined":
        return _Refined(self._stream, int(self._known[place]), _BITS)


class _Refined:
    """One −ln U, enclosed as narrowly as it takes."""

    def __init__(self, stream: Keystream, known: int, bits: int) -> None:
        self._stream, self._known, self._bits = stream, known, bits

    def floor_times(self, scale: int) -> int:
        """⌊scale · −ln U⌋."""
        while True:
            low, high = self._enclosed()
            least, most = (_EXACT.multiply(end, scale) for end in (low, high))
            if most.is_finite() and int(least) == int(most):
                return int(least)

    def at_least(self, size: int, variance: float, scale: int) -> bool:
        """Whether −ln U >= (size − variance/scale)² / (2·variance)."""
        # Everything is rational: −ln U · 2·v·s² against (size·s − v)², both exact but for ln.
        left = _EXACT.multiply(Decimal(2 * scale * scale), Decimal(variance))
        miss = _EXACT.subtract(Decimal(size * scale), Decimal(variance))
        right = _EXACT.multiply(miss, miss)
        while True:
            low, high = self._enclosed()
            if _EXACT.multiply(low, left) >= right:
                return True
            if _EXACT.multiply(high, left) < right:
                return False

    def _enclosed(self) -> tuple[Decimal, Decimal]:
        """Numbers below and above −ln U, after 64 more bits of U."""
        (word,) = self._stream.words(1)
        self._known, self._bits = (self._known << 64) | int(word), self._bits + 64
        near = Context(prec=self._bits // 3 + 30)
        whole = near.ln(Decimal(2**self._bits))
        # ln is correctly rounded and below 10⁵, so three roundings stay under the slack.
        slack = Decimal(10) ** (6 - near.prec)
        low = near.subtract(whole, near.ln(Decimal(self._known + 1)))
        low = max(Decimal(0), _EXACT.subtract(low, slack))
        if self._known == 0:
            return low, Decimal("Infinity")
        high = near.subtract(whole, near.ln(Decimal(self._known)))
        return low, _EXACT.add(high, slack)
