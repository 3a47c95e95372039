"""The clip: a privacy unit's gradient is its rows' sum, and its norm is at most the bound."""

import torch

# Rounding to float64 can lift a norm by about 1e-16 per operation; this much is given away.
_BELOW = 1.0 - 1e-12
# Of float32 factors and products: 3 roundings of 2⁻²⁴ each, where 16 are given away.
_BELOW_SINGLE = 1.0 - 16 * 2.0**-24
# Below these float32 rounds to fewer digits, and the roundings above are no longer relative.
_LEAST_SINGLE, _LEAST_FACTOR = 1e-12, 2.0**-100


def clipped_sum(
    rows: torch.Tensor, units: torch.Tensor, n_units: int, max_grad_norm: float
) -> torch.Tensor:
    """The sum over units of each unit's summed gradient, scaled to norm <= `max_grad_norm`.

    `rows` is float64 [rows, parameters], `units` int64 [rows]; the answer is [parameters]. A row
    whose gradient is not finite counts as zero *before* any norm is taken: otherwise one record
    could destroy the model, which would tell everybody that it is there.
    """
    sums = unit_sums(rows, units, n_units)
    return clip_factors(torch.linalg.vector_norm(sums, dim=1), max_grad_norm) @ sums


def unit_sums(rows: torch.Tensor, units: torch.Tensor, n_units: int) -> torch.Tensor:
    """float64 [units, parameters]: each unit's rows added, those that are not finite as zero."""
    finite = rows.isfinite().all(dim=1, keepdim=True)
    rows = torch.where(finite, rows, 0.0)
    return rows.new_zeros(n_units, rows.shape[1]).index_add_(0, units, rows)


def clip_factors(norms: torch.Tensor, max_grad_norm: float) -> torch.Tensor:
    """float64 [units]: what takes vectors of these norms to at most `max_grad_norm`, in float64."""
    bound = _BELOW * max_grad_norm
    return (bound / norms.clamp_min(torch.finfo(norms.dtype).tiny)).clamp_max_(1)


def single_factors(squares: torch.Tensor, max_grad_norm: float, slack: float) -> torch.Tensor:
    """The same from squared norms, for vectors that are then scaled and multiplied in float32.

    `squares` may be too small by a factor of 1 + `slack`. An infinite one gives 0.

    Raises:
        ValueError: the clip is so small that float32 could not keep it.
    """
    if max_grad_norm < _LEAST_SINGLE:
        raise ValueError(
            f"max_grad_norm {max_grad_norm:g} is below {_LEAST_SINGLE:g}, where float32 rounds "
            "coarsely; choose engine 'opacus', which clips in float64"
        )
    bound = (_BELOW_SINGLE - slack) * max_grad_norm
    factors = squares.rsqrt().mul_(bound).clamp_max_(1.0)
    return torch.threshold(factors, _LEAST_FACTOR, 0.0)
