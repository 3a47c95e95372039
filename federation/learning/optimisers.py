"""SGD, momentum and Adam on one flat vector of weights: post-processing of noised gradients."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from federation.protocol.document import Training

_BETAS, _SMALL = (0.9, 0.999), 1e-8  # of Adam, as in Kingma and Ba 2015 and as in torch


def flattened(module: nn.Module) -> torch.Tensor:
    """One float32 vector that all the module's parameters become views of, in their order."""
    parameters = list(module.parameters())
    flat = torch.cat([parameter.detach().flatten() for parameter in parameters])
    pieces = flat.split([parameter.numel() for parameter in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.data = piece.view_as(parameter)
    return flat


@dataclass
class Optimiser:
    """Changes `weights` in place by a noised gradient, float64 of the same length.

    The state begins empty, so each round starts afresh. The formulas are those of torch.optim.
    """

    weights: torch.Tensor
    training: Training
    _steps: int = 0
    _state: list[torch.Tensor] = field(default_factory=list)

    def step(self, gradient: torch.Tensor) -> None:
        """One step."""
        _STEPS[self.training.optimiser](self, gradient)

    def _sgd(self, gradient: torch.Tensor) -> None:
        self.weights.sub_(gradient, alpha=self.training.learning_rate)

    def _momentum(self, gradient: torch.Tensor) -> None:
        if not self._state:
            self._state = [torch.zeros_like(gradient)]
        self._sgd(self._state[0].mul_(self.training.momentum).add_(gradient))

    def _adam(self, gradient: torch.Tensor) -> None:
        if not self._state:
            self._state = [torch.zeros_like(gradient), torch.zeros_like(gradient)]
        self._steps += 1
        mean, square = self._state
        mean.lerp_(gradient, 1 - _BETAS[0])
        square.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        scale = (square / (1 - _BETAS[1] ** self._steps)).sqrt_().add_(_SMALL)
        self._sgd(mean.div(scale).div_(1 - _BETAS[0] ** self._steps))


_STEPS: dict[str, Callable[[Optimiser, torch.Tensor], None]] = {
    "sgd": Optimiser._sgd,
    "momentum": Optimiser._momentum,
    "adam": Optimiser._adam,
}
