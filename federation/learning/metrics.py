"""How good a model is, from predicted probabilities or from a noised histogram (numpy only).

A number that is not defined (one class only, nothing counted) is None, never a guess; a negative
cell, which noise can make, counts as zero.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.protocol.histograms import error_edges

Floats = NDArray[np.float64]
Metrics = dict[str, Any]
NUMBERS = ("mae", "rmse", "bias")  # of a target that is a number
_DROWNED = 2.0  # standard deviations: a total of no rows passes them once in 44 times
_LEAST_PROBABILITY = 1e-7


def from_scores(probabilities: Floats, targets: NDArray[np.int64]) -> Metrics:
    """Metrics of [rows, classes] probabilities against true classes.

    accuracy, auc (more than two classes: the mean of one class against the rest), log_loss,
    sensitivity and specificity (two classes only) at threshold 0.5.
    """
    metrics = dict.fromkeys(("accuracy", "auc", "log_loss", "sensitivity", "specificity"))
    if len(targets) == 0:
        return metrics
    probabilities = np.nan_to_num(np.asarray(probabilities, dtype=np.float64), nan=0.0)
    predicted = _predicted(probabilities)
    table = np.zeros((probabilities.shape[1],) * 2)
    np.add.at(table, (predicted, targets), 1)
    own = np.take_along_axis(probabilities, targets[:, None], axis=1)[:, 0]
    metrics |= _from_table(table)
    metrics["auc"] = _mean_auc(probabilities, targets)
    metrics["log_loss"] = float(-np.log(np.clip(own, _LEAST_PROBABILITY, 1)).mean())
    return metrics


def from_histogram(histogram: NDArray[Any]) -> Metrics:
    """Metrics of a (noised, summed) histogram as `evaluation.histogram` makes it.

    [bins, 2]: accuracy, auc (a pair in the same bin counts half), sensitivity, specificity,
    calibration (one point per bin: predicted, observed, weight). With an odd number of bins half
    of the middle one counts as positive. [classes, classes]: accuracy and recalls.
    """
    counts = np.maximum(np.nan_to_num(np.asarray(histogram, dtype=np.float64)), 0.0)
    if counts.shape[1] > 2:
        return {"auc": None, "sensitivity": None, "specificity": None, **_from_table(counts)}
    return {
        **_from_table(_thresholded(counts)),
        "auc": _auc(counts),
        "calibration": _calibration(counts),
    }


def from_values(predicted: Floats, truth: Floats) -> Metrics:
    """Of predicted and true numbers, each [rows]: mae, rmse and bias in the target's own unit."""
    if len(truth) == 0:
        return dict.fromkeys(NUMBERS)
    errors = predicted - truth
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt(np.square(errors).mean())),
        "bias": float(errors.mean()),
    }


def from_errors(histogram: NDArray[Any], span: float, noise: float = 0.0) -> Metrics:
    """The same from a (noised, summed) [bins, 2] histogram of errors over a target's `span`.

    Errors count as spread evenly over their bin. Sums of cells are taken as they came, negative
    ones too: set to zero, the empty bins of large errors would each add the noise's mean. Where
    noise makes a mean negative, or the bias larger than the mean error, nothing can be told; nor
    where the total is within two standard deviations of its own noise, of which each cell has
    `noise`. No error can be larger than `span`, so neither is a figure.
    """
    counts = np.nan_to_num(np.asarray(histogram, dtype=np.float64))
    total = float(counts.sum())
    if total <= _DROWNED * noise * counts.size**0.5:
        return dict.fromkeys(NUMBERS)
    edges = error_edges(len(counts)) * span
    low, high = edges[:-1], edges[1:]
    sizes, squares = (low + high) / 2, (low**2 + low * high + high**2) / 3
    by_bin, sides = counts.sum(axis=1), counts[:, 1] - counts[:, 0]
    mae, square = float(by_bin @ sizes) / total, float(by_bin @ squares) / total
    bias = float(sides @ sizes) / total
    return {
        "mae": min(mae, span) if mae >= 0 else None,
        "rmse": min(square**0.5, span) if square >= 0 else None,
        "bias": max(-span, min(bias, span)) if abs(bias) <= mae * (1 + 1e-9) else None,
    }


def _predicted(probabilities: Floats) -> NDArray[np.int64]:
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= 0.5).astype(np.int64)
    return probabilities.argmax(axis=1)


def _thresholded(counts: Floats) -> Floats:
    """[2, 2]: predicted × true."""
    half, odd = divmod(len(counts), 2)
    middle = counts[half] / 2 if odd else np.zeros(2)
    return np.stack([counts[:half].sum(axis=0) + middle, counts[half + odd :].sum(axis=0) + middle])


def _from_table(table: Floats) -> Metrics:
    """From predicted × true counts."""
    right = np.diag(table)
    recalls = [_ratio(hit, total) for hit, total in zip(right, table.sum(axis=0), strict=True)]
    metrics: Metrics = {"accuracy": _ratio(right.sum(), table.sum())}
    if len(table) == 2:
        return metrics | {"sensitivity": recalls[1], "specificity": recalls[0]}
    return metrics | {"recalls": recalls}


def _auc(counts: Floats) -> float | None:
    """The area under the ROC curve of [bins, 2] counts, bins in order of rising score.

    The probability that a positive scores above a negative, ties counting half
    (Hanley and McNeil 1982).
    """
    negatives, positives = counts[:, 0], counts[:, 1]
    below = np.cumsum(negatives) - negatives
    wins = float(positives @ (below + negatives / 2))
    return _ratio(wins, negatives.sum() * positives.sum())


def _mean_auc(probabilities: Floats, targets: NDArray[np.int64]) -> float | None:
    classes = range(probabilities.shape[1])
    if len(classes) == 2:
        return _score_auc(probabilities[:, 1], targets == 1)
    each = [_score_auc(probabilities[:, k], targets == k) for k in classes]
    known = [auc for auc in each if auc is not None]
    return float(np.mean(known)) if known else None


def _score_auc(scores: Floats, positive: NDArray[np.bool_]) -> float | None:
    values, place = np.unique(scores, return_inverse=True)
    counts = np.zeros((len(values), 2))
    np.add.at(counts, (place, positive.astype(np.int64)), 1)
    return _auc(counts)


def _calibration(counts: Floats) -> list[dict[str, float | None]]:
    total = counts.sum(axis=1)
    return [
        {
            "predicted": (position + 0.5) / len(counts),
            "observed": _ratio(counts[position, 1], total[position]),
            "weight": float(total[position]),
        }
        for position in range(len(counts))
    ]


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None
