"""How far float32 may be from the truth, so that a bound computed in it still is one.

u = 2⁻²⁴. A sum of n products is off by at most n·u times the sum of their absolute values (Higham,
Accuracy and Stability of Numerical Algorithms, section 3.1; n·u « 1 everywhere here), in any order
of summation. Products below 2⁻¹⁴⁹ vanish.
"""

from collections.abc import Sequence

import torch

UNIT = 2.0**-24
VANISHING = 2.0**-149


def square_norms(x: torch.Tensor) -> torch.Tensor:
    """At least the squared L2 norm over the last axis, float64; inf or NaN if x is not finite.

    Norms beyond about 1e19 come out infinite: float32 squares overflow.
    """
    size = x.shape[-1]
    found = torch.linalg.vector_norm(x, dim=-1).double().square_()
    return found.mul_(1 + 2 * (size + 8) * UNIT).add_(size * VANISHING)


def norms(every: Sequence[torch.Tensor]) -> torch.Tensor:
    """[len(every), rows]: the norm of each row of each of these [rows, numbers]."""
    # Narrow products leave rows as columns in memory, over which torch's norm takes six times as
    # long as to copy them.
    return torch.stack([torch.linalg.vector_norm(x.contiguous(), dim=1) for x in every])


def sum_of_norms(every: Sequence[torch.Tensor]) -> torch.Tensor:
    """[rows]: the norms of each row of all of these [rows, numbers], added."""
    return norms(every).sum(dim=0)
