"""Book-keeping: clipped sums from activations and output gradients, without a gradient per row.

One forward pass and one backward pass, to the layers' outputs only; then each layer's rule gives
the units' norms and the weighted sum (Bu et al. 2022, arXiv 2210.00038).
"""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from federation.learning import rules
from federation.learning.clipping import single_factors
from federation.learning.faults import Unfit
from federation.learning.layout import Layout
from federation.learning.losses import Loss
from federation.learning.passes import Pass, Tapped, straight
from federation.learning.rules import Part

# Rows of larger numbers count as not finite: up to here products of two stay within float32.
_LARGEST = 1e15


class RuleGradients:
    """A module whose every layer has a rule."""

    def __init__(self, module: nn.Module, run: Pass, row_bytes: int) -> None:
        self._parameters = list(module.parameters())
        self._size = sum(parameter.numel() for parameter in self._parameters)
        self._run = run
        self._order: list[int] | None = None  # of the parts' parameters, the same in every pass
        self.row_bytes = row_bytes

    def clipped_sum(
        self, features: torch.Tensor, targets: torch.Tensor, layout: Layout, max_grad_norm: float
    ) -> torch.Tensor:
        """See `Gradients`."""
        if len(targets) == 0:
            return torch.zeros(self._size, dtype=torch.float64, device=targets.device)
        parts = self._run(features, targets)
        _drop(parts)
        whole = layout.filled()
        squares = _squares(parts, whole)
        factors = single_factors(squares, max_grad_norm, max(part.slack for part in parts))
        factors[layout.n_units :].zero_()
        found = [part.weighted(factors, whole) for part in parts]
        return torch.cat([piece.flatten() for piece in self._ordered(parts, found)])

    def per_unit(
        self, features: torch.Tensor, targets: torch.Tensor, layout: Layout
    ) -> torch.Tensor:
        """See `Gradients`."""
        if len(targets) == 0:
            zeros = torch.zeros(layout.n_units, self._size, device=targets.device)
            return zeros.double()
        parts = self._run(features, targets)
        _drop(parts)
        found = self._ordered(parts, [part.per_unit(layout.filled()) for part in parts])
        units = torch.cat([piece.flatten(1)[: layout.n_units] for piece in found], dim=1)
        # Products of finite numbers may overflow; such a unit counts as zero.
        return torch.where(units.isfinite().all(dim=1, keepdim=True), units, 0.0).double()

    def _ordered(
        self, parts: Sequence[Part], found: Sequence[list[torch.Tensor]]
    ) -> list[torch.Tensor]:
        """What the parts found, in the order of the module's parameters."""
        pieces = [piece for mine in found for piece in mine]
        if self._order is None:
            every = [id(parameter) for part in parts for parameter in part.parameters]
            self._order = [every.index(id(parameter)) for parameter in self._parameters]
        return [pieces[place] for place in self._order]


class Bookkeeping:
    """The default engine: about the price of training without privacy."""

    name = "bookkeeping"
    title = "Book-keeping"
    description = (
        "Clipped sums without a gradient per row: about as fast as training without privacy. A "
        "model with a layer that has no rule is trained by Opacus instead, as a whole."
    )

    def refuses(self, module: nn.Module, example: torch.Tensor) -> str | None:
        """The first layer without a rule, or what a trial pass shows."""
        if reason := rules.why_not(module):
            return reason
        if straight(module, Loss()) is not None:
            return None
        try:
            self._trial(module, example)
        except Unfit as error:
            return str(error)
        return None

    def gradients(self, module: nn.Module, loss: Loss, example: torch.Tensor) -> RuleGradients:
        """By the straight pass where the module is a chain. Its parameters ask for no gradient."""
        module.requires_grad_(False)
        trial = straight(module, loss)
        numbers = self._trial(module, example) if trial is None else _chain_numbers(module)
        return RuleGradients(module, trial or Tapped(module, loss), 12 * numbers)

    def _trial(self, module: nn.Module, example: torch.Tensor) -> int:
        """How many numbers a row's pass holds, seen on a copy of the module. Raises Unfit."""
        targets = torch.zeros(len(example), dtype=torch.int64, device=example.device)
        parts = Tapped(copy.deepcopy(module).requires_grad_(False), Loss())(example, targets)
        return sum(part.numbers for part in parts) // len(example)


def _squares(parts: Sequence[Part], layout: Layout) -> torch.Tensor:
    """[units]: at least the squared norm of each unit's whole gradient, but for the slack."""
    squares = parts[0].squares(layout)
    for part in parts[1:]:
        squares = squares + part.squares(layout)
    return squares


def _drop(parts: Sequence[Part]) -> None:
    """Zero every row that is not finite somewhere. Whether a row goes depends on it alone."""
    magnitudes = parts[0].magnitudes()
    for part in parts[1:]:
        magnitudes = magnitudes + part.magnitudes()
    if magnitudes.max().item() <= _LARGEST:  # false for NaN
        return
    kept = magnitudes <= _LARGEST
    for part in parts:
        part.drop(~kept)


def _chain_numbers(module: nn.Module) -> int:
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return 2 * sum(layer.in_features + layer.out_features for layer in linear)


ENGINE = Bookkeeping()
