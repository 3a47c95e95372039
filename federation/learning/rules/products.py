"""Sums of outer products g·aᵀ, the gradient of every layer that multiplies by a matrix.

For one unit with positions s (time steps, pixels, rows) the gradient is M = Σ g_s a_sᵀ. Its
squared norm is the sum over pairs of positions of (g_s·g_t)(a_s·a_t), the Gram product: S² (p + d)
operations, instead of the S p d of making M. Whichever has fewer numbers is used, 2 S² or p d
(the rule of ghost clipping, Li et al. 2021, arXiv 2110.05679).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from federation.learning import steady
from federation.learning.layout import Layout
from federation.learning.rules.rounding import UNIT, VANISHING, square_norms, sum_of_norms

_SMALL = 1024  # numbers of a gradient of which one for each row of a chunk fits in memory


class Products:
    """Inputs [rows, S, p] (one or several, all against the same g), gradients [rows, S, d].

    The sums come in the order of the inputs, then `biases` times the sum of g.
    """

    def __init__(self, inputs: Sequence[torch.Tensor], g: torch.Tensor, biases: int) -> None:
        self.inputs, self.g, self.biases = list(inputs), g, biases
        self.made: list[torch.Tensor] = []  # as `per_unit`, where the norms needed them

    def squares(self, layout: Layout) -> torch.Tensor:
        """float64 [units]: at least the squared norm, with what rounding may add.

        Which way a unit goes, and its slack, depend on its own rows and on the shapes alone:
        were they decided by the batch, one unit could change what others add.
        """
        positions = self.g.shape[1]
        if layout.units is None:
            if positions > 1 and self._is_long(positions):
                self.made = _products(self.inputs, self.g, self.biases)
                return torch.stack([square_norms(x.flatten(1)) for x in self.made]).sum(dim=0)
            counts = torch.full((layout.n_units,), positions, device=self.g.device)
            return _gram(self.inputs, self.g, self.biases, counts)
        long = self._is_long(layout.counts * positions)
        if not bool(long.any()):
            return self._short(self.inputs, self.g, layout)
        found = torch.zeros(layout.n_units, dtype=torch.float64, device=self.g.device)
        rows, short = layout.without(long)
        found[~long] = self._short([a[rows] for a in self.inputs], self.g[rows], short)
        rows, those = layout.without(~long)
        found[long] = self._long([a[rows] for a in self.inputs], self.g[rows], those)
        return found

    def _is_long(self, positions: Any) -> Any:
        """Whether the gradient has fewer numbers than the two Gram matrices."""
        return 2 * positions**2 > sum(a.shape[2] for a in self.inputs) * self.g.shape[2]

    def _short(self, inputs: list[torch.Tensor], g: torch.Tensor, layout: Layout) -> torch.Tensor:
        """The squared norms of units by the Gram product."""
        found = torch.zeros(layout.n_units, dtype=torch.float64, device=g.device)
        for units, beside, counts in _beside(inputs, g, layout):
            found[units] = _gram(beside[:-1], beside[-1], self.biases, counts)
        return found

    def _long(self, inputs: list[torch.Tensor], g: torch.Tensor, layout: Layout) -> torch.Tensor:
        """The squared norms of units' gradients, made, and the error of `weighted`."""
        counts = layout.counts * g.shape[1]
        most = layout.summed(_pairs(inputs, g, self.biases)).square_()
        most *= 1 + 2 * (counts + 8) * UNIT
        return self._made_squares(inputs, g, layout) + 4 * (counts + 16) * UNIT * most

    def _made_squares(
        self, inputs: list[torch.Tensor], g: torch.Tensor, layout: Layout
    ) -> torch.Tensor:
        """Small gradients row by row and all units at once; large ones unit by unit."""
        if sum(a.shape[2] for a in inputs) * g.shape[2] <= _SMALL:
            made = [layout.summed(x) for x in _products(inputs, g, self.biases)]
            return torch.stack([square_norms(x.flatten(1)) for x in made]).sum(dim=0)
        found = []
        for unit in range(layout.n_units):
            rows = layout.named() == unit
            joined = [x[rows].flatten(0, 1)[None] for x in (*inputs, g)]
            made = _products(joined[:-1], joined[-1], self.biases)
            found.append(torch.stack([square_norms(x.flatten(1)) for x in made]).sum())
        return torch.stack(found)

    def weighted(self, factors: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
        """The sums over units of factor times gradient: [d, p] for each input, [d] per bias."""
        if self.made:
            return [torch.tensordot(factors.to(x.dtype), x, dims=1) for x in self.made]
        g = self.g * layout.to_rows(factors).to(self.g.dtype)[:, None, None]
        down, *inputs = _flat([g, *self.inputs])
        found = [transposed_product(down, a) for a in inputs]
        return found + [down.sum(dim=0)] * self.biases

    def per_unit(self, layout: Layout) -> list[torch.Tensor]:
        """[units, d, p] for each input, [units, d] per bias."""
        if layout.units is None:
            return _products(self.inputs, self.g, self.biases)
        d, n_units = self.g.shape[2], layout.n_units
        found = [self.g.new_zeros(n_units, d, a.shape[2]) for a in self.inputs]
        found += [self.g.new_zeros(n_units, d) for _ in range(self.biases)]
        for units, beside, _ in _beside(self.inputs, self.g, layout):
            made = _products(beside[:-1], beside[-1], self.biases)
            for whole, part in zip(found, made, strict=True):
                whole[units] = part
        return found


def _beside(
    inputs: list[torch.Tensor], g: torch.Tensor, layout: Layout
) -> Iterator[tuple[Any, list[torch.Tensor], torch.Tensor]]:
    """Units alike: (which, inputs and gradient [units, positions, …], their positions)."""
    for units, rows, alike in layout.alike():
        joined = [alike.side_by_side(x[rows]).flatten(1, 2) for x in (*inputs, g)]
        yield units, joined, alike.counts * g.shape[1]


def _most(
    inputs: list[torch.Tensor], g: torch.Tensor, biases: int, counts: torch.Tensor
) -> torch.Tensor:
    """At least the squared norm, by Cauchy and Schwarz; equal to it for one position."""
    return _pairs(inputs, g, biases).square_().mul_(1 + 2 * (counts + 8) * UNIT)


def _pairs(inputs: list[torch.Tensor], g: torch.Tensor, biases: int) -> torch.Tensor:
    """float64, for each row the sum over its positions of |g|·√(|a|² + biases)."""
    along = square_norms(inputs[0]).add_(float(biases))
    for a in inputs[1:]:
        along += square_norms(a)
    return along.mul_(square_norms(g)).sqrt_().sum(dim=1)


def _gram(
    inputs: list[torch.Tensor], g: torch.Tensor, biases: int, counts: torch.Tensor
) -> torch.Tensor:
    """The Gram product plus its own error and that of `weighted`; `counts` are the positions.

    Each entry of the Gram matrices is off by at most p·u or d·u times the norms of its two
    positions, so their product by (p + d + 2)·u times `most`; the sums of `weighted` add
    S·u·√most to the norm, hence 2·S·u·most to its square.
    """
    most = _most(inputs, g, biases, counts)
    if g.shape[1] == 1:
        return most
    across = steady.batched(g, g.transpose(1, 2)).double()
    along = steady.batched(inputs[0], inputs[0].transpose(1, 2))
    for a in inputs[1:]:
        along = along + steady.batched(a, a.transpose(1, 2))
    found = (across * (along + float(biases))).sum(dim=(1, 2))
    slack = sum(a.shape[2] for a in inputs) + g.shape[2] + 2 * counts + 16
    # What vanishes in one matrix stands against entries of the other, at most its diagonal.
    largest = _trace(across) + _trace(along)
    lost = slack * counts**2 * VANISHING * largest
    found = found.clamp_min_(0.0) + slack * UNIT * most + lost
    # One position alone is what `most` measures; a padded unit must not differ from others.
    return torch.where(counts == 1, most, torch.fmin(most, found))


def transposed_product(g: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """gᵀa of tall matrices [n, d] and [n, p], the narrower first: up to four times faster."""
    return g.t() @ a if g.shape[1] <= a.shape[1] else (a.t() @ g).t()


def _trace(square: torch.Tensor) -> torch.Tensor:
    return torch.diagonal(square, dim1=1, dim2=2).sum(dim=1)


def _products(inputs: list[torch.Tensor], g: torch.Tensor, biases: int) -> list[torch.Tensor]:
    down = g.transpose(1, 2)
    return [steady.batched(down, a) for a in inputs] + [g.sum(dim=1)] * biases


def _flat(every: list[torch.Tensor]) -> list[torch.Tensor]:
    """Each [rows · S, p], without a copy where positions come first in memory (recurrent layers).

    All in the same order, or a row would meet another row's gradient.
    """
    if all(x.stride(0) < x.stride(1) for x in every):
        every = [x.transpose(0, 1) for x in every]
    return [x.flatten(0, 1) for x in every]


class ProductsPart:
    """A layer whose gradients are `Products` as they are: Linear in time, recurrent layers."""

    slack = 0.0  # it is within the squares

    def __init__(self, parameters: list[nn.Parameter], products: Products) -> None:
        self.parameters, self._products = parameters, products

    @property
    def numbers(self) -> int:
        """Inputs and gradients, as many again while they are scaled, and two Gram matrices."""
        held = sum(x.numel() for x in (*self._products.inputs, self._products.g))
        rows, positions = self._products.g.shape[:2]
        return 2 * held + 4 * rows * positions**2

    def squares(self, layout: Layout) -> torch.Tensor:
        """See `Part`."""
        return self._products.squares(layout)

    def magnitudes(self) -> torch.Tensor:
        """See `Part`."""
        every = (self._products.g, *self._products.inputs)
        return sum_of_norms([x.flatten(1) for x in every])

    def drop(self, rows: torch.Tensor) -> None:
        """See `Part`."""
        bad = rows[:, None, None]
        inputs = [a.masked_fill(bad, 0.0) for a in self._products.inputs]
        g = self._products.g.masked_fill(bad, 0.0)
        self._products = Products(inputs, g, self._products.biases)

    def weighted(self, factors: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
        """See `Part`."""
        return self._products.weighted(factors, layout)

    def per_unit(self, layout: Layout) -> list[torch.Tensor]:
        """See `Part`."""
        return self._products.per_unit(layout)
