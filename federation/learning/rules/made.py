"""Parts whose gradient is small enough to be made for every row: scales and shifts."""

from collections.abc import Sequence

import torch
from torch import nn

from federation.learning.layout import Layout
from federation.learning.rules.rounding import square_norms, sum_of_norms


class MadePart:
    """One gradient per row, [rows, …] for each parameter. What is measured is what is added."""

    slack = 0.0  # it is within the squares

    def __init__(self, parameters: list[nn.Parameter], rows: Sequence[torch.Tensor]) -> None:
        self.parameters, self._rows = parameters, list(rows)
        self._units: list[torch.Tensor] = []  # as `per_unit`, once they are measured

    @property
    def numbers(self) -> int:
        """See `Part`."""
        return 2 * sum(rows.numel() for rows in self._rows)

    def squares(self, layout: Layout) -> torch.Tensor:
        """See `Part`."""
        self._units = self.per_unit(layout)
        return torch.stack([square_norms(units.flatten(1)) for units in self._units]).sum(dim=0)

    def magnitudes(self) -> torch.Tensor:
        """See `Part`."""
        return sum_of_norms([rows.flatten(1) for rows in self._rows])

    def drop(self, rows: torch.Tensor) -> None:
        """See `Part`."""
        self._rows = [zeroed(made, rows) for made in self._rows]

    def weighted(self, factors: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
        """Of the very sums that were measured: on a GPU others might be rounded otherwise."""
        return [torch.tensordot(factors.to(units.dtype), units, dims=1) for units in self._units]

    def per_unit(self, layout: Layout) -> list[torch.Tensor]:
        """See `Part`."""
        return [layout.summed(rows) for rows in self._rows]


def zeroed(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """x with zeros in these rows; a product with zero would keep what is not finite."""
    return x.masked_fill(rows.view(-1, *[1] * (x.ndim - 1)), 0.0)
