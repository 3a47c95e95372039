"""The rule for Linear, on rows or on rows with further axes (time)."""

from collections.abc import Sequence

import torch
from torch import nn

from federation.learning import steady
from federation.learning.layout import Layout
from federation.learning.rules import Part, Tap
from federation.learning.rules.products import Products, ProductsPart, transposed_product
from federation.learning.rules.rounding import UNIT, VANISHING, norms
from federation.learning.rules.taps import HookTap

LINEAR: tuple[type[nn.Module], ...] = (nn.Linear, steady.Linear)


class Stack:
    """Linear layers that see rows: their parameters and what does not change with the rows."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        each = [list(layer.parameters()) for layer in layers]
        self.parameters = [parameter for mine in each for parameter in mine]
        self.biases = [len(mine) - 1 for mine in each]
        widths = [mine[0].shape for mine in each]
        self.slack = max(d + p + 16 for d, p in widths) * UNIT
        # What joins the squared norms of all inputs, and after them of all gradients: the bias,
        # and for squares that vanish in float32, so that none is ever less than the truth.
        of_a = [biases or p * VANISHING for biases, (_, p) in zip(self.biases, widths, strict=True)]
        least = [*of_a, *(d * VANISHING for d, _ in widths)]
        self.least = torch.tensor(least, device=each[0][0].device)[:, None]


class RowsPart:
    """Inputs a [rows, p] and output gradients g [rows, d] of each layer of a stack."""

    def __init__(
        self, stack: Stack, inputs: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor]
    ) -> None:
        self._stack, self._inputs, self._gradients = stack, inputs, gradients
        self.parameters, self.slack = stack.parameters, stack.slack
        self._products: list[Products] = []

    @property
    def numbers(self) -> int:
        """Inputs and gradients, and as many again while they are scaled."""
        return 2 * sum(x.numel() for x in (*self._inputs, *self._gradients))

    def squares(self, layout: Layout) -> torch.Tensor:
        """For one row per unit in closed form, |g|² (|a|² + 1) added over layers."""
        if layout.units is not None:
            self._products = self._as_products()
            return torch.stack([each.squares(layout) for each in self._products]).sum(dim=0)
        squares = (self._norms * self._norms).add_(self._stack.least)
        inputs = len(self._inputs)
        return squares[:inputs].mul_(squares[inputs:]).sum(dim=0)

    def magnitudes(self) -> torch.Tensor:
        """See `Part`."""
        self._norms = norms([*self._inputs, *self._gradients])
        return self._norms.sum(dim=0)

    def drop(self, rows: torch.Tensor) -> None:
        """See `Part`."""
        # A product with zero would keep what is not finite.
        self._inputs = [a.masked_fill(rows[:, None], 0.0) for a in self._inputs]
        self._gradients = [g.masked_fill(rows[:, None], 0.0) for g in self._gradients]
        self._norms = self._norms.masked_fill(rows, 0.0)

    def weighted(self, factors: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
        """For each layer [d, p], and [d] where there is a bias."""
        if self._products:
            return [x for each in self._products for x in each.weighted(factors, layout)]
        factors, found = factors.to(self._norms.dtype), []
        beside = factors[:, None]
        for a, g, biases in zip(self._inputs, self._gradients, self._stack.biases, strict=True):
            found.append(transposed_product(g * beside, a))
            if biases:
                found.append(factors @ g)
        return found

    def per_unit(self, layout: Layout) -> list[torch.Tensor]:
        """For each layer [units, d, p], and [units, d] where there is a bias."""
        return [x for each in self._as_products() for x in each.per_unit(layout)]

    def _as_products(self) -> list[Products]:
        every = zip(self._inputs, self._gradients, self._stack.biases, strict=True)
        return [Products([a.unsqueeze(1)], g.unsqueeze(1), biases) for a, g, biases in every]


class LinearRule:
    """Every Linear layer follows it."""

    kinds = LINEAR

    def refuses(self, module: nn.Module) -> str | None:
        """Never."""
        return None

    def tap(self, module: nn.Module) -> Tap:
        """By a forward hook."""
        return HookTap(module, _part)


def _part(module: nn.Linear, a: torch.Tensor, g: torch.Tensor) -> Part:
    if a.ndim == 2:
        return RowsPart(Stack([module]), [a], [g])
    parameters = list(module.parameters())
    products = Products([a.flatten(1, -2)], g.flatten(1, -2), len(parameters) - 1)
    return ProductsPart(parameters, products)


RULE = LinearRule()
