"""Listening to a layer: its input in the forward pass, the gradient at its output after."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from federation.learning.rules import Part

Make = Callable[[Any, torch.Tensor, torch.Tensor], Part]  # (module, input, gradient)


class HookTap:
    """Keeps the first input and the output; the gradient is asked for by autograd."""

    def __init__(self, module: nn.Module, make: Make) -> None:
        self._module, self._make = module, make
        self._input: torch.Tensor | None = None
        self.probe: torch.Tensor | None = None
        self.calls = 0
        self.version = 0
        module.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        self.calls += 1
        self._input = inputs[0].detach()
        # No parameter asks for a gradient, so the first layers' outputs would have none.
        self.probe = output if output.requires_grad else output.requires_grad_()
        self.version = self.probe._version

    def parts(self, gradient: torch.Tensor | None) -> list[Part]:
        """One part; an output that the loss does not depend on has gradient zero."""
        assert self._input is not None and self.probe is not None  # noqa: S101, PT018
        given = torch.zeros_like(self.probe) if gradient is None else gradient
        part = self._make(self._module, self._input, given)
        self._input, self.probe, self.calls = None, None, 0
        return [part]
