"""A protocol's architecture as a torch module, and its weights as named float32 arrays."""

from typing import Any

import numpy as np
import torch
from torch import nn

from federation.learning import architectures, pooling, steady
from federation.protocol.contract import outputs
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors


class _Layers:
    """torch.nn, but with layers that are faster, or whose rows do not touch by a last bit."""

    Linear = steady.Linear
    MaxPool2d = pooling.MaxPool2d

    def __getattr__(self, name: str) -> Any:
        return getattr(nn, name)


def build(protocol: Protocol) -> nn.Module:
    """The module that the protocol describes, with whatever weights torch gave it.

    Raises:
        ArchitectureError: the model section of the protocol is wrong.
    """
    architectures.check(protocol)
    chosen = architectures.get(protocol.model.architecture)
    parameters = architectures.read(protocol.model.architecture, protocol.model.parameters)
    shape = architectures.row_shape(protocol.data)
    module: nn.Module = chosen.build(_Layers(), shape, outputs(protocol.data), parameters)
    return module


def load(protocol: Protocol, tensors: Tensors) -> nn.Module:
    """The module with the given weights. Raises ValueError where names or shapes differ."""
    module = build(protocol)
    state = {name: torch.tensor(array, dtype=torch.float32) for name, array in tensors.items()}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"these tensors do not belong to {protocol.model.architecture!r} as this protocol "
            f"declares it: {error}"
        ) from error
    return module


def weights(module: nn.Module) -> Tensors:
    """The module's weights: float32 copies under their state names."""
    state = module.state_dict()
    return {
        name: np.array(tensor.cpu().numpy(), dtype=np.float32) for name, tensor in state.items()
    }
