"""Moments of one step's privacy loss: the logarithm of E[exp(z·loss)] at real and complex z.

The loss is that of removing a unit from a Poisson-sampled Gaussian: ℓ(x) = log(1 − q + q·exp((2x −
1) / 2σ²)), with σ the noise_multiplier and q the sample_rate, and E[exp(z·loss)] is the mean of
exp((z + 1)·ℓ(x)) over x ~ N(0, σ²). The trapezoid rule converges geometrically (arXiv 1908.10530,
section 3.3, for real z). At real z it is z times the Rényi divergence of order z + 1.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accounting.dp.sampling import Floats, log_mixed

Complexes = NDArray[np.complex128]

_REACH = 11.0  # standard deviations of the noise to either side that are integrated
_MOST_POINTS = 2000  # at real z; orders beyond are bounded instead
_LEAST_NOISE = 0.01  # the grid grows with 1/noise², and below this ε is beyond all use
_NEGLIGIBLE = 42.0  # e to minus this is nothing beside 1
_SMALLEST = 1e-15  # rounding leaves no smaller K


@dataclass(frozen=True)
class Line:
    """`count` points z = tilt + i·stride·k, k = 0, 1, …"""

    tilt: float
    stride: float
    count: int

    @property
    def points(self) -> Complexes:
        """The points themselves."""
        return np.asarray(self.tilt + 1j * self.stride * np.arange(self.count), dtype=np.complex128)


def at_tilts(noise: float, rate: float, tilts: Floats) -> Floats:
    """K at real, ascending `tilts`; from above (by convexity) where the integral would be long."""
    unsampled = tilts * (tilts + 1.0) / (2.0 * noise**2)
    if rate == 1.0:
        return unsampled
    convex = np.logaddexp(math.log1p(-rate), math.log(rate) + unsampled)
    if noise < _LEAST_NOISE:
        return convex
    step = _fine(noise)
    far = max(_MOST_POINTS * step - 2.0 * _REACH * noise, 1.0)
    loss, density = _integrand(noise, rate, min(1.0 + float(tilts[-1]), far), step)
    exponents = np.outer(tilts + 1.0, loss) + density
    highest = exponents.max(axis=1)
    total = highest + np.log(np.exp(exponents - highest[:, None]).sum(axis=1))
    return np.maximum(np.where(tilts + 1.0 <= far, total, convex), _SMALLEST)


def variance(noise: float, rate: float, tilt: float) -> float:
    """The variance of the loss under the measure tilted by `tilt`: K″ there."""
    if rate == 1.0:
        return noise**-2
    loss, exponents = _tilted(noise, rate, tilt, _fine(noise))
    weights = np.exp(exponents - exponents.max())
    weights /= weights.sum()
    mean = float(weights @ loss)
    return max(float(weights @ (loss - mean) ** 2), _SMALLEST)


def along(noise: float, rate: float, line: Line) -> Complexes:
    """K along a line, as one continuous branch.

    exp(iu·ℓ) with u = (a·n + b)·stride is a product, so all points are one matrix product.
    """
    if rate == 1.0:
        points = line.points
        return points * (points + 1.0) / (2.0 * noise**2)
    loss, exponents = _tilted(noise, rate, line.tilt, _fine_along(noise, line))
    highest = float(exponents.max())
    block = math.isqrt(line.count - 1) + 1
    turns = 1j * line.stride * np.outer(np.arange(block), loss)
    coarse = np.exp(block * turns + (exponents - highest))
    moments = (coarse @ np.exp(turns).T).ravel()[: line.count]
    size = np.log(np.maximum(np.abs(moments), 1e-300))
    values: Complexes = highest + size + 1j * np.unwrap(np.angle(moments))
    return values


def work(noise: float, line: Line) -> float:
    """About how many exponentials `along` takes."""
    reach = 1.0 + line.tilt + 2.0 * _REACH * noise
    return 2.0 * math.sqrt(line.count) * reach / _fine_along(noise, line)


def _fine_along(noise: float, line: Line) -> float:
    fastest = line.stride * line.count / noise**2  # radians per unit of x
    return min(_fine(noise), 2.0 * math.pi / (7.0 / noise + fastest))


def _fine(noise: float) -> float:
    """A step that resolves the density, and the logarithm's branch point πσ² off the axis."""
    return min(noise / 4.0, noise**2 / 2.0)


def _tilted(noise: float, rate: float, tilt: float, step: float) -> tuple[Floats, Floats]:
    """The loss and the logarithm of what is summed, where that is not negligible."""
    loss, density = _integrand(noise, rate, 1.0 + tilt, step)
    exponents = (1.0 + tilt) * loss + density
    kept = exponents > exponents.max() - _NEGLIGIBLE
    return loss[kept], exponents[kept]


def _integrand(noise: float, rate: float, reach: float, step: float) -> tuple[Floats, Floats]:
    """ℓ(x) and log(density · step) from far below 0 to far above `reach`."""
    x = np.arange(-_REACH * noise, reach + _REACH * noise, step)
    density = -0.5 * (x / noise) ** 2 + math.log(step / noise / math.sqrt(2.0 * math.pi))
    return log_mixed(rate, (2.0 * x - 1.0) / (2.0 * noise**2)), density
