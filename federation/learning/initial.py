"""The model that round 1 starts from: decided by the protocol alone, never by data."""

import torch
from torch import nn

from federation.learning.architectures import ArchitectureError
from federation.learning.modules import build, weights
from federation.protocol.document import Protocol
from federation.protocol.tensors import MAX_BYTES, Tensors

_BYTES = 4  # of a weight


def initial_tensors(protocol: Protocol) -> Tensors:
    """The first weights, float32, under their state names.

    `seeded` is torch's own initialisation from `training.seed`. `zero` sets the output layer to
    zero, so that the first prediction favours no class: for logistic regression that is every
    weight. Hidden layers are seeded even then, because with zeros they could never learn.

    Raises ArchitectureError for a model that is wrong, or too large to travel.
    """
    _check_size(protocol)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(protocol.training.seed)
        module = build(protocol)
    if protocol.training.initialisation == "zero":
        _zero(_output_layer(module))
    return weights(module)


def _check_size(protocol: Protocol) -> None:
    """Before any memory is taken: a document of a few lines can describe terabytes."""
    with torch.device("meta"):
        size = sum(_BYTES * weight.numel() for weight in build(protocol).parameters())
    if size > MAX_BYTES:
        raise ArchitectureError(
            f"model.parameters: the model takes {size >> 20:,} MiB and at most {MAX_BYTES >> 20} "
            "travel; revise the study to fewer or narrower layers, or to smaller rows"
        )


def _output_layer(module: nn.Module) -> nn.Module:
    layers = [layer for layer in module.modules() if list(layer.parameters(recurse=False))]
    return layers[-1]


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
