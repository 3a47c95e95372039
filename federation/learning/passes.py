"""One forward and backward pass that ends at the layers: a straight one, and one by autograd.

The straight pass serves models that are a chain of Linear layers and activations. It calls the
few matrix products itself, for on small models most of a step is the bookkeeping of autograd.
"""

from collections.abc import Callable
from operator import or_

import torch
from torch import nn

from federation.learning import steady
from federation.learning.faults import Unfit
from federation.learning.losses import Loss
from federation.learning.rules import Part, rule_for
from federation.learning.rules.linear import LINEAR, RowsPart, Stack

Pass = Callable[[torch.Tensor, torch.Tensor], list[Part]]
Slope = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


# The overloads themselves: to look for them takes as long as small layers do.
_threshold_backward = torch.ops.aten.threshold_backward.default
_tanh_backward = torch.ops.aten.tanh_backward.default
_sigmoid_backward = torch.ops.aten.sigmoid_backward.default


def _relu(g: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return _threshold_backward(g, y, 0)


def _tanh(g: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return _tanh_backward(g, y)


def _sigmoid(g: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return _sigmoid_backward(g, y)


# What turns the gradient at an activation's output into that at its input.
_SLOPES: dict[type[nn.Module], Slope] = {nn.ReLU: _relu, nn.Tanh: _tanh, nn.Sigmoid: _sigmoid}


def straight(module: nn.Module, loss: Loss) -> Pass | None:
    """The pass of a chain, or None where the module is not one.

    An activation of our own takes part when it has a method `slope(x)`, its derivative.
    """
    layers = list(module) if type(module) is nn.Sequential else [module]
    linear = [type(layer) in LINEAR for layer in layers]
    slopes = [_slope_of(layer) is not None for layer in layers]
    if not any(linear) or not all(map(or_, linear, slopes)):
        return None
    return _Straight(layers, loss)


def _slope_of(layer: nn.Module) -> Slope | None:
    own: Callable[[torch.Tensor], torch.Tensor] | None = getattr(layer, "slope", None)
    if own is not None:
        return lambda g, x, y: g * own(x)
    return _SLOPES.get(type(layer))


class _Straight:
    """What does not change between steps is looked up once: parameters keep their memory."""

    def __init__(self, layers: list[nn.Module], loss: Loss) -> None:
        self._layers = [(layer, _slope_of(layer)) for layer in layers]
        self._loss = loss
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self._weights = [(layer.weight, layer.bias) for layer in linear]
        self._stack = Stack(linear)

    def __call__(self, features: torch.Tensor, targets: torch.Tensor) -> list[Part]:
        values, weights = [features], iter(self._weights)
        for layer, slope in self._layers:
            x = values[-1]
            values.append(layer.forward(x) if slope else steady.linear(x, *next(weights)))
        inputs, gradients = [], []
        g = self._loss.slope(values[-1], targets)
        for place in range(len(self._layers) - 1, -1, -1):
            slope = self._layers[place][1]
            if slope is not None:
                g = slope(g, values[place], values[place + 1])
                continue
            inputs.append(values[place])
            gradients.append(g)
            if len(inputs) == len(self._weights):
                break  # the first layer with weights needs no gradient at its own input
            g = steady.back(g, self._weights[-len(inputs)][0])
        return [RowsPart(self._stack, inputs[::-1], gradients[::-1])]


class Tapped:
    """The pass of any module whose layers all have rules: hooks, and autograd in between.

    The module's parameters must ask for no gradient. From here on nothing works in place.
    """

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        self._module, self._loss = module, loss
        never_in_place(module)
        weighty = [layer for layer in module.modules() if list(layer.parameters(recurse=False))]
        found = [(rule_for(layer), layer) for layer in weighty]
        self._taps = [rule.tap(layer) for rule, layer in found if rule is not None]

    def __call__(self, features: torch.Tensor, targets: torch.Tensor) -> list[Part]:
        """Every layer's part of these rows' gradients."""
        with torch.inference_mode(False), torch.enable_grad():
            loss = self._loss(self._module(features), targets)
            self._check()
            probes = [tap.probe for tap in self._taps if tap.probe is not None]
            gradients = torch.autograd.grad(loss, probes, allow_unused=True)
        by_tap = zip(self._taps, gradients, strict=True)
        return [part for tap, gradient in by_tap for part in tap.parts(gradient)]

    def _check(self) -> None:
        """Raises Unfit; what it looks at is the module's nature, never the data's."""
        for tap in self._taps:
            if tap.calls != 1 or tap.probe is None:
                raise Unfit(f"a layer runs {tap.calls} times in one pass; rules need one time")
            if tap.probe._version != tap.version:
                raise Unfit("the output of a layer is changed in place")


def never_in_place(module: nn.Module) -> None:
    """Activations keep their inputs: they are the outputs whose gradients an engine needs."""
    for layer in module.modules():
        if getattr(layer, "inplace", False):
            layer.inplace = False  # type: ignore[assignment]
