"""The private step: clip each privacy unit's gradient, add noise once, divide by a public number.

Opacus computes the per-sample gradients and drives the step; this optimiser replaces what its
own gets wrong for us: units of several rows, non-finite gradients, rounding above the bound, and
where the noise comes from.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.optimizers import DPOptimizer

# Rounding to float64 can lift a norm by about 1e-16 per operation; this much is given away.
_BELOW = 1.0 - 1e-12


class UnitOptimizer(DPOptimizer):
    """DP-SGD (Abadi et al. 2016) over privacy units instead of rows.

    Before each `step`, set `units` to the unit of each row in the batch, 0 … `n_units` − 1. The
    step's sum then moves by at most `max_grad_norm` in L2 when one unit comes or goes.
    """

    def __init__(
        self, optimizer: Any, *, draw: Callable[[int], NDArray[np.float64]], **settings: Any
    ) -> None:
        super().__init__(optimizer, loss_reduction="mean", **settings)
        self._draw = draw
        self._sum: torch.Tensor | None = None
        self.units = torch.empty(0, dtype=torch.int64)
        self.n_units = 0

    def clip_and_accumulate(self) -> None:
        """Add this batch's clipped sum, kept in float64, to the logical batch's."""
        rows = torch.cat([g.flatten(1).double() for g in self.grad_samples], dim=1)
        total = clipped_sum(rows, self.units, self.n_units, self.max_grad_norm)
        self._sum = total if self._sum is None else self._sum + total

    def add_noise(self) -> None:
        """One draw of noise for the whole logical batch; the sum starts afresh after it."""
        assert self._sum is not None  # noqa: S101 - clip_and_accumulate always comes first
        noise = torch.from_numpy(self._draw(len(self._sum)))
        noised = self._sum + self.noise_multiplier * self.max_grad_norm * noise
        self._sum = None
        parts = noised.split([parameter.numel() for parameter in self.params])
        for parameter, part in zip(self.params, parts, strict=True):
            parameter.grad = part.view_as(parameter).to(parameter.dtype)


def clipped_sum(
    rows: torch.Tensor, units: torch.Tensor, n_units: int, max_grad_norm: float
) -> torch.Tensor:
    """The sum over units of each unit's summed gradient, scaled to norm <= `max_grad_norm`.

    `rows` is float64 [rows, parameters], `units` int64 [rows]; the answer is [parameters]. A row
    whose gradient is not finite counts as zero *before* any norm is taken: otherwise one record
    could destroy the model, which would tell everybody that it is there.
    """
    finite = rows.isfinite().all(dim=1, keepdim=True)
    rows = torch.where(finite, rows, 0.0)
    sums = rows.new_zeros(n_units, rows.shape[1]).index_add_(0, units, rows)
    norms = torch.linalg.vector_norm(sums, dim=1)
    factors = (_BELOW * max_grad_norm / norms.clamp_min(torch.finfo(rows.dtype).tiny)).clamp_max(1)
    return factors @ sums
