"""Looking at a model: predictions, and the one noised histogram that a site may release.

Accuracy, ROC-AUC, sensitivity, specificity and calibration are all computed from the histogram
at the hub, at no further cost (post-processing).
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from accounting.dp.events import Mechanism, PrivacyEvent
from federation.learning.modules import load
from federation.learning.noise import Floats, Keystream, gaussian
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from federation.protocol.priced import Priced
from federation.protocol.stored import Stored
from federation.protocol.tensors import Tensors

_CHUNK_ROWS = 65_536


def predict(*, protocol: Protocol, tensors: Tensors, features: NDArray[np.float32]) -> Floats:
    """The probability of each class: float64 [rows, classes], each row adding up to 1."""
    module = load(protocol, tensors).eval()
    parts = [np.empty((0, len(protocol.data.target.classes)))]
    with torch.no_grad():
        for first in range(0, len(features), _CHUNK_ROWS):
            rows = torch.tensor(features[first : first + _CHUNK_ROWS], dtype=torch.float32)
            parts.append(_probabilities(module(rows).double()).numpy())
    return np.concatenate(parts)


def histogram(
    *, protocol: Protocol, tensors: Tensors, data: Encoded | Stored, noise_multiplier: float
) -> Priced:
    """The noised histogram of predictions against true classes, with the event it cost.

    Two classes: float32 [bins, 2], the predicted probability of the second class against the
    true class. More: float32 [classes, classes], predicted against true. One Gaussian mechanism
    whose L2 sensitivity is 1: a unit of several rows adds the mean of its rows.
    """
    event = PrivacyEvent(
        Mechanism.GAUSSIAN,
        noise_multiplier=noise_multiplier,
        sample_rate=1.0,
        steps=1,
        max_grad_norm=1.0,
        unit=protocol.data.unit,
    )
    counts = _counted(protocol, tensors, data)
    noised = counts + noise_multiplier * gaussian(Keystream(), counts.size).reshape(counts.shape)
    return Priced({"histogram": noised.astype(np.float32)}, (event,))


def _counted(protocol: Protocol, tensors: Tensors, data: Encoded | Stored) -> Floats:
    """The histogram, of rows in files piece by piece."""
    bins, classes = protocol.evaluation.bins, len(protocol.data.target.classes)
    counts: Floats = np.zeros((bins if classes == 2 else classes, classes))
    for piece in _pieces(data):
        probabilities = predict(protocol=protocol, tensors=tensors, features=piece.features)
        counts += count(probabilities, piece, bins)
    return counts


def _pieces(data: Encoded | Stored) -> Iterator[Encoded]:
    """Whole units, so that each counts once."""
    if isinstance(data, Encoded):
        yield data
        return
    for rows, units in data.pieces(_CHUNK_ROWS):
        n_units = int(units[-1]) + 1 if len(units) else 0
        yield Encoded(data.features[rows], data.targets[rows], units, n_units)


def count(probabilities: Floats, data: Encoded, bins: int) -> Floats:
    """The histogram before its noise. Adding or removing one unit moves it by at most 1 in L2."""
    classes = probabilities.shape[1]
    rows = bins if classes == 2 else classes
    cells = _rows(probabilities, bins) * classes + data.targets
    per_unit = np.bincount(data.units, minlength=data.n_units)
    weights = 1.0 / np.maximum(per_unit, 1)[data.units]
    counts: Floats = np.bincount(cells, weights, minlength=rows * classes).astype(np.float64)
    return counts.reshape(rows, classes)


def _rows(probabilities: Floats, bins: int) -> NDArray[np.int64]:
    if probabilities.shape[1] > 2:
        return probabilities.argmax(axis=1)
    # A model with infinite weights predicts NaN; that must not raise, for it would tell.
    scores = np.nan_to_num(probabilities[:, 1], nan=0.0)
    return np.minimum((scores * bins).astype(np.int64), bins - 1)


def _probabilities(logits: torch.Tensor) -> torch.Tensor:
    if logits.shape[1] > 1:
        return torch.softmax(logits, dim=1)
    positive = torch.sigmoid(logits)
    return torch.cat([1 - positive, positive], dim=1)
