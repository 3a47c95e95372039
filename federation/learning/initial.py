"""The model that round 1 starts from: decided by the protocol alone, never by data."""

import torch
from torch import nn

from federation.learning.modules import build, weights
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors


def initial_tensors(protocol: Protocol) -> Tensors:
    """The first weights, float32, under their state names.

    `seeded` is torch's own initialisation from `training.seed`. `zero` sets the output layer to
    zero, so that the first prediction favours no class: for logistic regression that is every
    weight. Hidden layers are seeded even then, because with zeros they could never learn.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(protocol.training.seed)
        module = build(protocol)
    if protocol.training.initialisation == "zero":
        _zero(_output_layer(module))
    return weights(module)


def _output_layer(module: nn.Module) -> nn.Module:
    layers = [layer for layer in module.modules() if list(layer.parameters(recurse=False))]
    return layers[-1]


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
