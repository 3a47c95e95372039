"""Personalised last layers: which of a model's weights stay at the site, and which are shared.

Base layers are federated, the last ones are each site's own (Arivazhagan et al. 2019, arXiv
1912.00818). All are trained together, with one clip and one noise over all of them: what leaves
is a part of the noised result.
"""

from dataclasses import dataclass

from torch import nn

from federation.learning.initial import initial_tensors
from federation.learning.modules import build
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors


@dataclass(frozen=True)
class Parted:
    """A model's weights by where they live; together they are the model."""

    shared: Tensors
    own: Tensors


def first(protocol: Protocol) -> Parted:
    """The model that round 1 starts from: what the hub gives out, and each site's first own layers.

    Raises ArchitectureError when the protocol's model section is wrong.
    """
    return parted(initial_tensors(protocol), build(protocol), protocol.model.personal_layers)


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
