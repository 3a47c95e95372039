"""The rule for GRU: inputs and hidden states meet gradients that differ in the new gate."""

import torch
from torch import nn

from federation.learning.rules import Part, Tap
from federation.learning.rules.products import Products, ProductsPart
from federation.learning.rules.recurrent import (
    RecurrentTap,
    Weights,
    refuses,
    tanh_,
    zeros_like_states,
)


class GruRun:
    """Gates in torch's order r, z, n: n = tanh(W x + b + r · (U h + d)), h' = n + z (h − n)."""

    def __init__(self, weights: Weights) -> None:
        self._weights = list(weights)
        self._hidden = self._weights[1].shape[1]
        self._biased = len(self._weights) > 2
        self._slopes: tuple[torch.Tensor, torch.Tensor] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See `Run`."""
        size = self._hidden
        w, u = (weight.detach() for weight in self._weights[:2])
        b, d = (bias.detach() for bias in self._weights[2:]) if self._biased else (None, None)
        self._x, self._h = x, zeros_like_states(x, size)
        self._gates = nn.functional.linear(x, w, b)
        self._inner = x.new_empty(len(x), x.shape[1], size)
        for t, gates in enumerate(self._gates):
            across = nn.functional.linear(self._h[t], u, d)
            gates[:, : 2 * size].add_(across[:, : 2 * size]).sigmoid_()
            r, z, n = gates.split(size, dim=1)
            tanh_(n.addcmul_(r, self._inner[t].copy_(across[:, 2 * size :])))
            torch.lerp(n, self._h[t], z, out=self._h[t + 1])
        return self._h[1:]

    def backward(self, g: torch.Tensor, wants_input: bool) -> torch.Tensor | None:
        """See `Run`."""
        w, u = (weight.detach() for weight in self._weights[:2])
        # At what the inputs add to the gates, and at what the hidden states add.
        along, across = torch.empty_like(self._gates), torch.empty_like(self._gates)
        down = torch.zeros_like(self._h[0])
        for t in reversed(range(len(g))):
            down = down + g[t]
            kept = self._step(t, down, along[t], across[t])
            down = torch.addmm(kept, across[t], u)
        self._slopes = along, across
        return (along.flatten(0, 1) @ w).view(self._x.shape) if wants_input else None

    def _step(
        self, t: int, down: torch.Tensor, along: torch.Tensor, across: torch.Tensor
    ) -> torch.Tensor:
        """Fill the gradients at the gates of time t; what goes past them to the state before."""
        size = self._hidden
        r, z, n = self._gates[t].split(size, dim=1)
        to_n = torch.ops.aten.tanh_backward(down * (1 - z), n)
        to_r = torch.ops.aten.sigmoid_backward(to_n * self._inner[t], r)
        to_z = torch.ops.aten.sigmoid_backward(down * (self._h[t] - n), z)
        torch.cat([to_r, to_z, to_n], dim=1, out=along)
        torch.cat([to_r, to_z, to_n * r], dim=1, out=across)
        return down * z

    def parts(self) -> list[Part]:
        """Two: inputs against theirs, hidden states against theirs."""
        zeros = torch.zeros_like(self._gates)
        along, across = self._slopes or (zeros, zeros)
        pairs = (self._x, along), (self._h[:-1], across)
        return [
            ProductsPart(
                self._weights[place::2],
                Products([a.transpose(0, 1)], slopes.transpose(0, 1), int(self._biased)),
            )
            for place, (a, slopes) in enumerate(pairs)
        ]


class GruRule:
    """Several layers, batch first or not, with or without biases."""

    kinds: tuple[type[nn.Module], ...] = (nn.GRU,)

    def refuses(self, module: nn.Module) -> str | None:
        """Two directions, dropout between layers."""
        assert isinstance(module, nn.GRU)  # noqa: S101 - by `kinds`
        return refuses(module)

    def tap(self, module: nn.Module) -> Tap:
        """By taking over its forward pass."""
        assert isinstance(module, nn.GRU)  # noqa: S101 - by `kinds`
        return RecurrentTap(module, GruRun)


RULE = GruRule()
