"""The clipped gradient of each row, as a matrix: what a canary adds to a sum when it is drawn."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from opacus import GradSampleModule

from federation.learning.modules import load
from federation.learning.training import summed_loss
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
    names = [name for name, _ in module.named_parameters()]
    order = sorted(range(len(names)), key=lambda place: names[place])
    parameters = [list(module.parameters())[place] for place in order]
    loss = partial(summed_loss, class_weights=protocol.training.class_weights)
    per_sample = GradSampleModule(module, loss_reduction="sum")
    parts = []
    for first in range(0, len(rows.targets), _CHUNK_ROWS):
        chunk = slice(first, first + _CHUNK_ROWS)
        # torch warns about Opacus' backward hooks unless some input wants a gradient.
        features = torch.from_numpy(rows.features[chunk]).requires_grad_()
        loss(per_sample(features), torch.from_numpy(rows.targets[chunk])).backward()
        # Opacus hangs this attribute on the parameters; torch's type does not know it.
        found = [getattr(p, "grad_sample").flatten(1).double() for p in parameters]  # noqa: B009
        whole = torch.cat(found, dim=1).numpy()
        parts.append(_clipped(whole, protocol.training.max_grad_norm)[:, ::stride])
        per_sample.zero_grad(set_to_none=True)
    return np.concatenate(parts)


def flat(tensors: Tensors) -> Floats:
    """All numbers in one vector, in the order of their names."""
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)]).astype(np.float64)


def _clipped(rows: Floats, max_grad_norm: float) -> Floats:
    rows = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0.0)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = rows * np.minimum(1.0, max_grad_norm / np.maximum(norms, 1e-300))
    return scaled
