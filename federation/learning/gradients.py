"""The clipped gradient of each row, as a matrix: what a canary adds to a sum when it is drawn."""

import numpy as np
import torch
from numpy.typing import NDArray

from federation.learning import engines, losses
from federation.learning.clipping import clip_factors
from federation.learning.layout import Layout
from federation.learning.memory import CHUNK_BYTES
from federation.learning.modules import load
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors

Floats = NDArray[np.float64]
_CHUNK_ROWS = 256


def clipped_rows(protocol: Protocol, model: Tensors, rows: Encoded, *, stride: int = 1) -> Floats:
    """float64 [rows, parameters]: each row's gradient at `model`, its norm at most max_grad_norm.

    Parameters stand in the order of `flat`; of each `stride` the first is kept, after clipping.
    A gradient that is not finite is zero.
    """
    module = load(protocol, model)
    training = protocol.training
    example = torch.zeros(2, *rows.features.shape[1:])
    engine = engines.chosen(training.engine, module, example)
    gradients = engine.gradients(module, losses.of(protocol), example)
    order = _by_name(module)
    step = max(1, min(_CHUNK_ROWS, CHUNK_BYTES // (gradients.row_bytes + 24 * len(order))))
    parts = []
    for first in range(0, len(rows.targets), step):
        chunk = slice(first, first + step)
        features, targets = map(torch.from_numpy, (rows.features[chunk], rows.targets[chunk]))
        whole = gradients.per_unit(features, targets, Layout(None, len(targets), features.device))
        factors = clip_factors(torch.linalg.vector_norm(whole, dim=1), training.max_grad_norm)
        parts.append((whole * factors[:, None]).numpy()[:, order[::stride]])
    return np.concatenate(parts)


def flat(tensors: Tensors) -> Floats:
    """All numbers in one vector, in the order of their names."""
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)]).astype(np.float64)


def _by_name(module: torch.nn.Module) -> NDArray[np.int64]:
    """Which number of `module.parameters()` comes where when the names are sorted."""
    places, start = {}, 0
    for name, parameter in module.named_parameters():
        places[name] = np.arange(start, start + parameter.numel())
        start += parameter.numel()
    return np.concatenate([places[name] for name in sorted(places)])
