"""Personalised last layers: which of a model's weights stay at the site, and which are shared.

Base layers are federated, the last ones are each site's own (Arivazhagan et al. 2019, arXiv
1912.00818). All are trained together, with one clip and one noise over all of them: what leaves
is a part of the noised result.
"""

from dataclasses import dataclass

from torch import nn

from federation.learning import strategies
from federation.learning.initial import initial_tensors
from federation.learning.modules import build
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors


@dataclass(frozen=True)
class Parted:
    """A model's weights by where they live; together they are the model."""

    shared: Tensors
    own: Tensors


@dataclass(frozen=True)
class First(Parted):
    """What round 1 starts from: the model, and what hub and sites hold besides, all zero.

    `given` is what the hub gives out for training, `kept` what each site keeps.
    """

    given: Tensors
    kept: Tensors


def first(protocol: Protocol) -> First:
    """What round 1 starts from, by the protocol alone.

    Raises ArchitectureError or StrategyError when the protocol is wrong.
    """
    layers = protocol.model.personal_layers
    parts = parted(initial_tensors(protocol), build(protocol), layers)
    given = strategies.get(protocol.aggregation.strategy).begun(parts.shared)
    beside = {name: array for name, array in given.items() if name not in parts.shared}
    return First(parts.shared, parts.own, given, parts.own | beside)


def parted(tensors: Tensors, module: nn.Module, layers: int) -> Parted:
    """`tensors`, named as in the module's state; the last `layers` of the module are its own."""
    own = names(module, layers)
    return Parted(
        {name: array for name, array in tensors.items() if name not in own},
        {name: array for name, array in tensors.items() if name in own},
    )


def names(module: nn.Module, layers: int) -> frozenset[str]:
    """The state names of the last `layers` layers: modules with weights, as registered."""
    found = [
        [f"{prefix}.{name}".lstrip(".") for name, _ in layer.named_parameters(recurse=False)]
        for prefix, layer in module.named_modules()
    ]
    with_weights = [layer for layer in found if layer]
    kept = with_weights[len(with_weights) - layers :]
    return frozenset(name for layer in kept for name in layer)


def shared_size(module: nn.Module, layers: int) -> int:
    """How many parameters are shared: the first so many, as the last layers stand at the end."""
    own = names(module, layers)
    return sum(p.numel() for name, p in module.named_parameters() if name not in own)
