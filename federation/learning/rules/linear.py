"""The rule for Linear, on rows or on rows with further axes (time)."""

import torch
from torch import nn

from federation.learning.layout import Layout
from federation.learning.rules import Part, Tap
from federation.learning.rules.products import Products, ProductsPart
from federation.learning.rules.rounding import UNIT, VANISHING
from federation.learning.rules.taps import HookTap


class RowsPart:
    """Inputs a [rows, p] and output gradients g [rows, d] of one Linear layer."""

    def __init__(self, module: nn.Linear, a: torch.Tensor, g: torch.Tensor) -> None:
        self.parameters = list(module.parameters())
        self._biases = len(self.parameters) - 1
        self._a, self._g = a, g
        self._products: Products | None = None
        self.slack = (a.shape[1] + g.shape[1] + 16) * UNIT

    @property
    def numbers(self) -> int:
        """Inputs and gradients, and as many again while they are scaled."""
        return 2 * (self._a.numel() + self._g.numel())

    def squares(self, layout: Layout) -> torch.Tensor:
        """|g|² (|a|² + 1) for one row per unit, in closed form; else as `Products`.

        Squares that vanish in float32 are made up for: never less than the truth.
        """
        if layout.units is not None:
            self._products = Products([self._a.unsqueeze(1)], self._g.unsqueeze(1), self._biases)
            return self._products.squares(layout)
        a, g = self._norms
        least_a = float(self._biases) or self._a.shape[1] * VANISHING
        return (a * a).add_(least_a).mul_((g * g).add_(self._g.shape[1] * VANISHING))

    def magnitudes(self) -> torch.Tensor:
        """See `Part`."""
        self._norms = _norms_of(self._a), _norms_of(self._g)
        return self._norms[0] + self._norms[1]

    def drop(self, rows: torch.Tensor) -> None:
        """See `Part`."""
        # A product with zero would keep what is not finite.
        self._a = self._a.masked_fill(rows[:, None], 0.0)
        self._g = self._g.masked_fill(rows[:, None], 0.0)
        self._norms = _norms_of(self._a), _norms_of(self._g)

    def weighted(self, factors: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
        """[d, p], and [d] where there is a bias."""
        if self._products is not None:
            return self._products.weighted(factors, layout)
        factors = factors.to(self._g.dtype)
        found = [(self._g * factors[:, None]).t() @ self._a]
        return [*found, factors @ self._g] if self._biases else found

    def per_unit(self, layout: Layout) -> list[torch.Tensor]:
        """[units, d, p], and [units, d] where there is a bias."""
        products = Products([self._a.unsqueeze(1)], self._g.unsqueeze(1), self._biases)
        return products.per_unit(layout)


def _norms_of(x: torch.Tensor) -> torch.Tensor:
    """The L2 norms of rows, in float32."""
    return torch.linalg.vector_norm(x, dim=1)


class LinearRule:
    """Every Linear layer follows it."""

    kinds: tuple[type[nn.Module], ...] = (nn.Linear,)

    def refuses(self, module: nn.Module) -> str | None:
        """Never."""
        return None

    def tap(self, module: nn.Module) -> Tap:
        """By a forward hook."""
        return HookTap(module, _part)


def _part(module: nn.Linear, a: torch.Tensor, g: torch.Tensor) -> Part:
    if a.ndim == 2:
        return RowsPart(module, a, g)
    parameters = list(module.parameters())
    products = Products([a.flatten(1, -2)], g.flatten(1, -2), len(parameters) - 1)
    return ProductsPart(parameters, products)


RULE = LinearRule()
