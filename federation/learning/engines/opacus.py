"""Opacus' hooks: one gradient per row and parameter, in memory; the reference of every rule."""

import copy
import warnings
from typing import Any

import torch
from opacus import GradSampleModule
from opacus.layers import DPGRU, DPLSTM
from torch import nn

from federation.learning import rules, steady
from federation.learning.clipping import clipped_sum, unit_sums
from federation.learning.faults import Unfit
from federation.learning.layout import Layout
from federation.learning.losses import Loss
from federation.learning.memory import row_bytes
from federation.learning.passes import never_in_place

# torch's recurrent layers hide their steps from hooks; these take them one by one.
_IN_STEPS: dict[type[nn.Module], Any] = {nn.LSTM: DPLSTM, nn.GRU: DPGRU}

# Our own kind of layer has the gradients of the one it is.
GradSampleModule.GRAD_SAMPLERS[steady.Linear] = GradSampleModule.GRAD_SAMPLERS[nn.Linear]


class HookGradients:
    """A module wrapped by Opacus; float64 from the first sum on."""

    def __init__(self, module: nn.Module, loss: Loss, example: torch.Tensor) -> None:
        never_in_place(module)
        self._module, self._loss = GradSampleModule(followed(module), loss_reduction="sum"), loss
        self._parameters = list(module.parameters())
        self.row_bytes = row_bytes(self._trial, example)

    def clipped_sum(
        self, features: torch.Tensor, targets: torch.Tensor, layout: Layout, max_grad_norm: float
    ) -> torch.Tensor:
        """See `Gradients`."""
        rows = self._rows(features, targets, self._loss, layout.spare)
        return clipped_sum(rows, layout.named(), layout.n_units, max_grad_norm)

    def per_unit(
        self, features: torch.Tensor, targets: torch.Tensor, layout: Layout
    ) -> torch.Tensor:
        """See `Gradients`."""
        rows = self._rows(features, targets, self._loss, layout.spare)
        return unit_sums(rows, layout.named(), layout.n_units)

    def _trial(self, features: torch.Tensor) -> None:
        """What a chunk holds: activations, patches, a row's gradients in float32 and float64."""
        targets = torch.zeros(len(features), dtype=torch.int64, device=features.device)
        rows = self._rows(features, targets, Loss(), 0)
        unit_sums(rows, targets, 1)

    def _rows(
        self, features: torch.Tensor, targets: torch.Tensor, loss: Loss, spare: int
    ) -> torch.Tensor:
        """float64 [rows but for the `spare` last ones, parameters]."""
        if len(targets) == 0:
            size = sum(parameter.numel() for parameter in self._parameters)
            return torch.zeros(0, size, dtype=torch.float64, device=targets.device)
        self._module.zero_grad(set_to_none=True)
        with warnings.catch_warnings(), torch.inference_mode(False), torch.enable_grad():
            # torch warns of Opacus' hooks on layers whose input wants no gradient, as it should.
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            loss(self._module(features), targets).backward()
        # Opacus hangs this attribute on the parameters; torch's type does not know it.
        found = [getattr(p, "grad_sample").flatten(1) for p in self._parameters]  # noqa: B009
        self._module.zero_grad(set_to_none=True)
        return torch.cat([rows[: len(targets) - spare].double() for rows in found], dim=1)


def followed(module: nn.Module) -> nn.Module:
    """What hooks can follow, on the very same parameters: `module`, or a copy made for it."""
    if not any(type(layer) in _IN_STEPS for layer in module.modules()):
        return module
    twin = copy.deepcopy(module, {id(parameter): parameter for parameter in module.parameters()})
    for parent in twin.modules():
        for name, layer in list(parent.named_children()):
            if type(layer) in _IN_STEPS:
                setattr(parent, name, _in_steps(layer))
    return twin


def _in_steps(layer: Any) -> nn.Module:
    """Opacus' layer in place of torch's, with torch's parameters."""
    options = ("num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size")
    given = {name: getattr(layer, name) for name in options}
    found: Any = _IN_STEPS[type(layer)](layer.input_size, layer.hidden_size, **given)
    for name, theirs in found.old_to_new.items():
        cell, _, kind = name.rpartition(".")
        setattr(found.get_submodule(cell), kind, getattr(layer, theirs))
        setattr(found, theirs, getattr(layer, theirs))
    made: nn.Module = found
    return made


class Opacus:
    """The engine that follows Yousefpour et al. 2021 (arXiv 2109.12298)."""

    name = "opacus"
    title = "Opacus"
    description = (
        "A gradient per row, by hooks of the Opacus library. Slower and hungrier; takes every "
        "layer that Opacus takes, and torch's LSTM and GRU."
    )

    def refuses(self, module: nn.Module, example: torch.Tensor) -> str | None:
        """Never: what it cannot train it says when it wraps the module."""
        return None

    def gradients(self, module: nn.Module, loss: Loss, example: torch.Tensor) -> HookGradients:
        """The module wrapped. Raises Unfit for one that mixes rows, Opacus its own errors."""
        if reason := rules.mixing(module):
            raise Unfit(reason)
        return HookGradients(module, loss, example)


ENGINE = Opacus()
