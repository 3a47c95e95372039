"""The grade "hardened": integer sums and exact discrete Gaussian noise, without floating point.

Each unit's clipped gradient is put on the grid max_grad_norm · 2⁻²⁴, the grid points are summed as
64-bit integers, and discrete Gaussian noise is added, drawn exactly. Why the ledger may price
this as a Gaussian of `noise_multiplier` (s below: noise_multiplier · 2²⁴, in grid steps):

1. *Sensitivity.* Coordinates are rounded **towards zero**, deterministically. No coordinate grows,
   so no norm grows: a unit adds an integer vector of norm at most 2²⁴ steps, which is
   max_grad_norm. No inflation has to be charged; the price is a bias of under one step per
   coordinate and unit (2⁻²⁴ of the clip). The squared norm is a sum of integers below 2⁵³, so it is
   *checked exactly*; a vector that float64 clipped an ulp too long is left out.
2. *Noise.* Let x be a Gaussian N(m, s²) around an integer m and y a discrete Gaussian of variance
   r² centred at x. Then y is distributed as the discrete Gaussian of variance s² + r² centred at m,
   up to factors in [1 − 2η, 1 + 2η], η = 2·exp(−2π²r²)·(1 + tiny) (Poisson summation; Peikert
   2010, theorem 3.1). With r² = 9, η < 1e-76. So our draw, of variance s² + 9, is but for that
   factor post-processing of the continuous mechanism, on each sampled batch alike: whatever an
   accountant proves for the sampled Gaussian (PLD, Rényi or another) holds with ε dearer by at most
   4η · parameters · steps < 1e-50, far below the last digit of any ε that is printed rounded up.
3. *Release.* The noised integers times the grid step, in float64, are post-processing.

The Rényi bound of Canonne, Kamath and Steinke (2020, theorem 4) says the same without step 2 where
no sampling is involved. What is *not* covered: the gradients themselves come from float32, and a
matrix product may round a row differently when the batch around it has another size.
"""

import math
from collections.abc import Iterable

import torch

from federation.learning.clipping import clip_factors
from federation.learning.discrete_gaussian import discrete_gaussian
from federation.learning.engines import Gradients
from federation.learning.grades import Chunk, summed
from federation.learning.noise import Keystream

_STEPS = 2**24  # of the grid, in one max_grad_norm
_SMOOTHING = 9.0  # r², in squared steps


class IntegerSum:
    """An int64 vector of grid steps; sums of up to 2³⁹ units fit."""

    def __init__(self, gradients: Gradients, size: int, max_grad_norm: float) -> None:
        self._gradients, self._max_grad_norm = gradients, max_grad_norm
        self._stream = Keystream()
        self._size = size
        self._sum: torch.Tensor | None = None
        # Three float64 matrices of one row per unit, and what the engine itself needs.
        self.row_bytes = gradients.row_bytes + 24 * size

    def add(self, chunk: Chunk) -> None:
        """See `NoisedSum`."""
        self._add(self._gradients.per_unit(chunk.features, chunk.targets, chunk.layout))

    def add_unit(self, blocks: Iterable[Chunk]) -> None:
        """See `NoisedSum`."""
        self._add(summed(self._gradients, blocks))

    def _add(self, units: torch.Tensor) -> None:
        found = on_grid(units, self._max_grad_norm).sum(dim=0)
        self._sum = found if self._sum is None else self._sum.add_(found)

    def release(self, noise_multiplier: float, denominator: float) -> torch.Tensor:
        """See `NoisedSum`."""
        draws = discrete_gaussian(self._stream, noise_variance(noise_multiplier), self._size)
        noise = torch.from_numpy(draws)
        total, self._sum = self._sum, None
        if total is not None:
            noise = total + noise.to(total.device)
        return noise.double() * (self._max_grad_norm / _STEPS / denominator)


def on_grid(units: torch.Tensor, max_grad_norm: float) -> torch.Tensor:
    """int64 [units, parameters]: each row of `units` clipped, in grid steps, norm <= 2²⁴ steps."""
    norms = torch.linalg.vector_norm(units, dim=1)
    scaled = units * (clip_factors(norms, max_grad_norm) / max_grad_norm * _STEPS)[:, None]
    steps = scaled.trunc_()
    # Exact: as long as it is within the bound, every partial sum is an integer below 2⁵³.
    within = (steps * steps).sum(dim=1, keepdim=True) <= float(_STEPS) ** 2
    return torch.where(within, steps, 0.0).to(torch.int64)


def noise_variance(noise_multiplier: float) -> float:
    """In squared grid steps: that of the continuous Gaussian, rounded up, plus the smoothing."""
    return math.nextafter((noise_multiplier * _STEPS) ** 2 * (1 + 2.0**-50), math.inf) + _SMOOTHING


class Hardened:
    """For those who fear attacks on the bits of floating point noise."""

    name = "hardened"
    title = "Hardened"
    description = (
        "Sums on an integer grid and exact discrete Gaussian noise: what floating point would "
        "betray (Mironov 2012) is not there. A gradient per unit is made, so it is slower."
    )
    event = "hardened"

    def sum(self, gradients: Gradients, size: int, max_grad_norm: float) -> IntegerSum:
        """See `Grade`."""
        return IntegerSum(gradients, size, max_grad_norm)


GRADE = Hardened()
