"""Book-keeping rules: how a kind of layer clips by unit without a gradient per unit.

One file per kind, found by listing this folder; a new kind is one new file with a module-level
`RULE`. From the inputs a of a layer and the gradients g of the loss at its outputs a rule knows
(1) the norm of each unit's summed gradient and (2) the sum of all units' gradients, each times a
factor of its own (Bu et al. 2022, arXiv 2210.00038).
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

import torch
from torch import nn

from federation.learning.layout import Layout

__all__ = ["Part", "Rule", "Tap", "mixing", "rule_for", "why_not"]

_MIXERS = (nn.modules.batchnorm._BatchNorm,)  # of every kind, with weights or without
_ALONG = (nn.Softmax, nn.LogSoftmax, nn.Softmin)


class Part(Protocol):
    """What one layer adds to the gradients of a batch of rows.

    `parameters` are the layer's, in the order of the sums. `squares(layout)` is for each unit an
    upper bound, [units], of the squared norm of what it really adds, rounding included but for a
    factor of 1 + `slack`, a constant. Before it `magnitudes()` is asked, [rows], the sum of the
    norms of each row's inputs and gradients, and rows that cannot be used are dropped.
    """

    parameters: list[nn.Parameter]

    @property
    def numbers(self) -> int:
        """How many numbers it holds or will make, for all rows together."""
        ...

    slack: float

    def squares(self, layout: Layout) -> torch.Tensor:
        """[units], at least the squared norms."""
        ...

    def magnitudes(self) -> torch.Tensor:
        """[rows]: NaN or infinite for rows with inputs or gradients that are not finite."""
        ...

    def drop(self, rows: torch.Tensor) -> None:
        """Zero the rows where `rows`, bool [rows], is true."""
        ...

    def weighted(self, factors: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
        """The sum over units of factor times gradient, one tensor per parameter."""
        ...

    def per_unit(self, layout: Layout) -> list[torch.Tensor]:
        """Each unit's summed gradient, [units, *parameter.shape], one tensor per parameter."""
        ...


class Tap(Protocol):
    """A layer of one forward and backward pass: what to differentiate by, and its parts after.

    `calls` counts the forward passes since the last `parts`; a layer that runs twice in one pass
    has no rule. `version` is the probe's when it was kept.
    """

    probe: torch.Tensor | None
    calls: int
    version: int

    def parts(self, gradient: torch.Tensor | None) -> list[Part]:
        """The layer's parts, given the loss's gradient by `probe`; forgets the pass."""
        ...


class Rule(Protocol):
    """What each file here promises."""

    kinds: tuple[type[nn.Module], ...]

    def refuses(self, module: nn.Module) -> str | None:
        """Why this module cannot follow the rule, or None when it can."""
        ...

    def tap(self, module: nn.Module) -> Tap:
        """Begin to listen to the module's passes."""
        ...


@cache
def _rules() -> dict[type[nn.Module], Rule]:
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    rules = [module.RULE for module in modules if hasattr(module, "RULE")]
    return {kind: rule for rule in rules for kind in rule.kinds}


def rule_for(module: nn.Module) -> Rule | None:
    """The rule of this kind of layer; subclasses have none, for they may do anything."""
    return _rules().get(type(module))


def mixing(module: nn.Module) -> str | None:
    """The first layer known to mix the rows of a batch, which no engine can clip by unit."""
    for name, layer in module.named_modules():
        # An unnamed axis may be the first one.
        over_rows = isinstance(layer, _ALONG) and layer.dim in (0, None)
        if over_rows or isinstance(layer, _MIXERS):
            return (
                f"the layer {name or 'itself'!r} ({type(layer).__name__}) mixes the rows of a "
                "batch, so no row has a gradient of its own; normalise within rows (GroupNorm)"
            )
    return None


def why_not(module: nn.Module) -> str | None:
    """Why the whole of `module` cannot be trained by rules, or None when it can."""
    if reason := mixing(module):
        return reason
    owners: dict[int, str] = {}
    for name, layer in module.named_modules():
        mine = list(layer.parameters(recurse=False))
        if reason := _no_rule(name, layer):
            return reason
        for parameter in mine:
            if id(parameter) in owners:
                return f"layers {owners[id(parameter)]!r} and {name!r} share a weight"
            owners[id(parameter)] = name
    return None


def _no_rule(name: str, layer: nn.Module) -> str | None:
    """Why this one layer cannot."""
    if list(layer.buffers(recurse=False)):
        return f"the layer {name!r} ({type(layer).__name__}) keeps numbers beside its weights"
    if not list(layer.parameters(recurse=False)):
        return None
    rule = rule_for(layer)
    if rule is None:
        return f"no rule for the layer {name or 'itself'!r} ({type(layer).__name__})"
    reason = rule.refuses(layer)
    return f"layer {name!r}: {reason}" if reason else None
