"""Looking at a model: predictions, and the one noised histogram that a site may release.

Accuracy, ROC-AUC, sensitivity, specificity and calibration, or for a number the mean absolute
error, its root mean square and the bias, are all computed from the histogram at the hub, at no
further cost (post-processing).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from accounting.dp.events import Mechanism, PrivacyEvent
from federation.learning import devices, steady
from federation.learning.memory import CHUNK_BYTES, row_bytes
from federation.learning.metrics import Metrics, from_scores, from_values
from federation.learning.modules import load
from federation.learning.noise import Floats, Keystream, gaussian
from federation.protocol import histograms
from federation.protocol.contract import Encoded, outputs, width
from federation.protocol.document import NumberTarget, Protocol
from federation.protocol.priced import Priced
from federation.protocol.stored import Stored
from federation.protocol.tensors import Tensors

_CHUNK_ROWS, _CHUNK_NUMBERS = 65_536, 4 << 20  # of inputs in memory together, whichever is less


def predict(
    *,
    protocol: Protocol,
    tensors: Tensors,
    features: NDArray[np.float32],
    device: devices.Device = "cpu",
    chunk_bytes: int = CHUNK_BYTES,
) -> Floats:
    """The probability of each class: float64 [rows, classes], each row adding up to 1.

    For numbers: float64 [rows, numbers], in their own unit, held to the declared bounds.
    `chunk_bytes` bounds the memory of a pass. Raises DeviceAbsent.
    """
    found = _outputs(protocol, tensors, features, devices.chosen(device), chunk_bytes)
    target = protocol.data.target
    if isinstance(target, NumberTarget):
        return unscaled(found.numpy(), target)
    return _probabilities(found).numpy()


def _outputs(
    protocol: Protocol,
    tensors: Tensors,
    features: NDArray[np.float32],
    device: torch.device,
    chunk_bytes: int,
) -> torch.Tensor:
    """float64 [rows, outputs], on the processor."""
    module = load(protocol, tensors).eval().to(device)
    parts = [torch.empty(0, outputs(protocol.data), dtype=torch.float64)]
    with torch.no_grad():
        example = torch.zeros(steady.ROWS, *features.shape[1:], device=device)
        step = _pass_rows(module, example, chunk_bytes)
        for first in range(0, len(features), step):
            rows = torch.tensor(features[first : first + step], dtype=torch.float32)
            spare = steady.filled(len(rows), step) - len(rows)
            every = torch.cat([rows, rows.new_zeros(spare, *rows.shape[1:])]).to(device)
            parts.append(module(every)[: len(rows)].double().cpu())
    return torch.cat(parts)


def _pass_rows(module: torch.nn.Module, example: torch.Tensor, chunk_bytes: int) -> int:
    """How many rows go through the model together: many of a table, few large images."""
    # Convolutions lay out their inputs and outputs once more; the rows are copied twice.
    of_one = 2 * row_bytes(module, example) + 8 * example[0].numel()
    return steady.together(max(1, min(_CHUNK_ROWS, chunk_bytes // of_one)))


def chunk_rows(protocol: Protocol) -> int:
    """How many rows are read from files together."""
    return max(1, min(_CHUNK_ROWS, _CHUNK_NUMBERS // width(protocol.data)))


def unscaled(values: NDArray[Any], target: NumberTarget) -> Floats:
    """float64: values of −1 … 1 in the target's own unit, held to its bounds."""
    # A model with infinite weights predicts NaN; that must not raise, for it would tell.
    held = np.clip(np.nan_to_num(np.asarray(values, dtype=np.float64), nan=-1.0), -1, 1)
    found: Floats = target.low + (held + 1) / 2 * target.span
    return found


def measured(*, protocol: Protocol, tensors: Tensors, rows: Encoded) -> Metrics:
    """Metrics of public rows, without noise: as `from_scores`, or `from_values` for a number."""
    found = predict(protocol=protocol, tensors=tensors, features=rows.features)
    return judged(protocol, found, rows.targets)


def judged(protocol: Protocol, predicted: Floats, targets: NDArray[Any]) -> Metrics:
    """The same of predictions that are there already, as `predict` makes them."""
    target = protocol.data.target
    if isinstance(target, NumberTarget):
        return from_values(predicted.ravel(), unscaled(targets, target).ravel())
    return from_scores(predicted, targets)


def histogram(
    *,
    protocol: Protocol,
    tensors: Tensors,
    data: Encoded | Stored,
    noise_multiplier: float,
    device: devices.Device = "cpu",
    chunk_bytes: int = CHUNK_BYTES,
) -> Priced:
    """The noised histogram of predictions against true classes, with the event it cost.

    Two classes: float32 [bins, 2], the predicted probability of the second class against the
    true class. More: float32 [classes, classes], predicted against true. A number: [bins, 2], the
    size of the error (`histograms.error_edges`) against whether the prediction is above the
    truth. One Gaussian mechanism whose L2 sensitivity is 1: a unit of several rows adds the mean
    of its rows. The noise is drawn on the processor, whatever `device` is. `chunk_bytes` bounds
    the memory of a pass through the model. Raises DeviceAbsent.
    """
    event = PrivacyEvent(
        Mechanism.GAUSSIAN,
        noise_multiplier=noise_multiplier,
        sample_rate=1.0,
        steps=1,
        max_grad_norm=1.0,
        unit=protocol.data.unit,
    )
    counts = _counted(protocol, tensors, data, {"device": device, "chunk_bytes": chunk_bytes})
    noised = counts + noise_multiplier * gaussian(Keystream(), counts.size).reshape(counts.shape)
    return Priced({"histogram": noised.astype(np.float32)}, (event,))


def _counted(
    protocol: Protocol, tensors: Tensors, data: Encoded | Stored, machine: dict[str, Any]
) -> Floats:
    """The histogram, of rows in files piece by piece."""
    counts: Floats = np.zeros(histograms.shape(protocol))
    target, bins = protocol.data.target, protocol.evaluation.bins
    for piece in _pieces(data, chunk_rows(protocol)):
        values = predict(protocol=protocol, tensors=tensors, features=piece.features, **machine)
        if isinstance(target, NumberTarget):
            truth = unscaled(piece.targets, target).reshape(values.shape)
            counts += count_errors((values - truth) / target.span, piece, bins)
        else:
            counts += count(values, piece, bins)
    return counts


def _pieces(data: Encoded | Stored, rows: int) -> Iterator[Encoded]:
    """Whole units, so that each counts once."""
    if isinstance(data, Encoded):
        yield data
        return
    for chosen, units in data.pieces(rows):
        n_units = int(units[-1]) + 1 if len(units) else 0
        yield Encoded(data.features[chosen], data.targets[chosen], units, n_units)


def count(probabilities: Floats, data: Encoded, bins: int) -> Floats:
    """The histogram before its noise. Adding or removing one unit moves it by at most 1 in L2."""
    classes = probabilities.shape[1]
    rows = bins if classes == 2 else classes
    return _weighted(_rows(probabilities, bins) * classes + data.targets, (rows, classes), data)


def count_errors(errors: Floats, data: Encoded, bins: int) -> Floats:
    """The same for numbers, [bins, 2]; `errors` [n, numbers] are prediction less truth, by span.

    The numbers of a row share its weight.
    """
    places = histograms.error_bin(np.abs(errors), bins)
    return _weighted(places * 2 + (errors > 0), (bins, 2), data)


def _weighted(cells: NDArray[np.int64], shape: tuple[int, int], data: Encoded) -> Floats:
    """How many units fell into each cell of the flat histogram; a unit's rows share one.

    `cells` are [rows], or [rows, k] where each row falls into k cells.
    """
    cells = cells.reshape(len(cells), math.prod(cells.shape[1:]))
    per_unit = np.bincount(data.units, minlength=data.n_units) * cells.shape[1]
    weights = np.repeat(1.0 / np.maximum(per_unit, 1)[data.units], cells.shape[1])
    size = shape[0] * shape[1]
    counts: Floats = np.bincount(cells.ravel(), weights, minlength=size).astype(np.float64)
    return counts.reshape(shape)


def _rows(probabilities: Floats, bins: int) -> NDArray[np.int64]:
    if probabilities.shape[1] > 2:
        return probabilities.argmax(axis=1)
    # A model with infinite weights predicts NaN; that must not raise, for it would tell.
    scores = np.nan_to_num(probabilities[:, 1], nan=0.0)
    return np.minimum((scores * bins).astype(np.int64), bins - 1)


def _probabilities(logits: torch.Tensor) -> torch.Tensor:
    if logits.shape[1] > 1:
        return torch.softmax(logits, dim=1)
    # Processors round the last ones of a number that is not round another way (see `steady`).
    spare = steady.filled(len(logits), steady.ROWS) - len(logits)
    positive = torch.sigmoid(torch.cat([logits, logits.new_zeros(spare, 1)]))[: len(logits)]
    return torch.cat([1 - positive, positive], dim=1)
