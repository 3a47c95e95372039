"""The rule for LSTM: both weight matrices of a layer meet the gradients at its gates."""

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

_sigmoid_slope = torch.ops.aten.sigmoid_backward.grad_input
_tanh_slope = torch.ops.aten.tanh_backward.grad_input


class LstmRun:
    """Gates in torch's order i, f, g, o, in one buffer [T, rows, 4 · hidden]."""

    def __init__(self, weights: Weights) -> None:
        self._weights = list(weights)
        self._hidden = self._weights[1].shape[1]
        self._slopes: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See `Run`."""
        size = self._hidden
        self._x = x
        self._h, self._c = zeros_like_states(x, size), zeros_like_states(x, size)
        self._tanh = x.new_empty(len(x), x.shape[1], size)
        across = self._prepared()
        for t, gates in enumerate(self._gates):
            if t:
                gates.addmm_(self._h[t], across)
            i, f, g, o = gates.sigmoid_().split(size, dim=1)
            g.mul_(2).sub_(1)
            c = torch.mul(f, self._c[t], out=self._c[t + 1]).addcmul_(i, g)
            torch.mul(o, tanh_(self._tanh[t].copy_(c)), out=self._h[t + 1])
        return self._h[1:]

    def _prepared(self) -> torch.Tensor:
        """Fill the gates with what the inputs give; the matrix that hidden states are to meet.

        Rows of g are doubled, so that one sigmoid over all four gates serves: tanh x is
        2 · sigmoid(2x) − 1.
        """
        doubled = self._weights[0].new_ones(4 * self._hidden, 1)
        doubled[2 * self._hidden : 3 * self._hidden] = 2
        w, u = (weight.detach() * doubled for weight in self._weights[:2])
        flat = self._x.reshape(-1, self._x.shape[2])
        if len(self._weights) > 2:
            bias = (self._weights[2] + self._weights[3]).detach() * doubled[:, 0]
            gates = torch.addmm(bias, flat, w.t())
        else:
            gates = flat @ w.t()
        self._gates = gates.view(*self._x.shape[:2], -1)
        return u.t()

    def backward(self, g: torch.Tensor, wants_input: bool) -> torch.Tensor | None:
        """See `Run`."""
        w, u = (weight.detach() for weight in self._weights[:2])
        self._slopes = torch.empty_like(self._gates)
        down_c = torch.zeros_like(self._c[0])
        scratch = torch.empty_like(down_c)
        for t in reversed(range(len(g))):
            down_h = g[t]
            if t + 1 < len(g):
                down_h = torch.addmm(down_h, self._slopes[t + 1], u)
            self._step(t, down_h, down_c, scratch)
        if not wants_input:
            return None
        return (self._slopes.flatten(0, 1) @ w).view(self._x.shape)

    def _step(
        self, t: int, down_h: torch.Tensor, down_c: torch.Tensor, scratch: torch.Tensor
    ) -> None:
        """The gradients at the gates of time t; `down_c` becomes that of the cell before it."""
        assert self._slopes is not None  # noqa: S101 - made by backward
        i, f, g, o = self._gates[t].split(self._hidden, dim=1)
        to_i, to_f, to_g, to_o = self._slopes[t].split(self._hidden, dim=1)
        tanh = self._tanh[t]
        _sigmoid_slope(torch.mul(down_h, tanh, out=scratch), o, grad_input=to_o)
        torch.mul(down_h, o, out=scratch)
        down_c.add_(_tanh_slope(scratch, tanh, grad_input=scratch))
        _sigmoid_slope(torch.mul(down_c, g, out=scratch), i, grad_input=to_i)
        _tanh_slope(torch.mul(down_c, i, out=scratch), g, grad_input=to_g)
        _sigmoid_slope(torch.mul(down_c, self._c[t], out=scratch), f, grad_input=to_f)
        down_c.mul_(f)

    def parts(self) -> list[Part]:
        """One: inputs and hidden states against the same gradients."""
        slopes = torch.zeros_like(self._gates) if self._slopes is None else self._slopes
        inputs = [self._x.transpose(0, 1), self._h[:-1].transpose(0, 1)]
        products = Products(inputs, slopes.transpose(0, 1), len(self._weights) - 2)
        return [ProductsPart(self._weights, products)]


class LstmRule:
    """Several layers, batch first or not, with or without biases."""

    kinds: tuple[type[nn.Module], ...] = (nn.LSTM,)

    def refuses(self, module: nn.Module) -> str | None:
        """Two directions, dropout between layers, projections."""
        assert isinstance(module, nn.LSTM)  # noqa: S101 - by `kinds`
        return refuses(module)

    def tap(self, module: nn.Module) -> Tap:
        """By taking over its forward pass."""
        assert isinstance(module, nn.LSTM)  # noqa: S101 - by `kinds`
        return RecurrentTap(module, LstmRun)


RULE = LstmRule()
