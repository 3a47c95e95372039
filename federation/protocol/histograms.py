"""What a site's evaluation releases: the shape of its histogram, and what its cells mean.

Classes: predictions against the truth. A number: how far predictions are from it. Cells are
decided by the protocol alone, and one privacy unit moves them by at most 1 in L2.
"""

import numpy as np
from numpy.typing import NDArray

from federation.protocol.document import NumberTarget, Protocol
from federation.protocol.tensors import Tensors

Floats = NDArray[np.float64]


def shape(protocol: Protocol) -> tuple[int, int]:
    """(bins, 2) for two classes, whose score is binned, (K, K) for more: predicted × true.

    (bins, 2) for a number: the size of the error × whether the prediction is above the truth.
    """
    target, bins = protocol.data.target, protocol.evaluation.bins
    if isinstance(target, NumberTarget) or len(target.classes) == 2:
        return bins, 2
    return len(target.classes), len(target.classes)


def empty(protocol: Protocol) -> Tensors:
    """The histogram with nothing counted, as it travels: float32."""
    return {"histogram": np.zeros(shape(protocol), dtype=np.float32)}


def error_edges(bins: int) -> Floats:
    """[bins + 1]: where bins of errors begin and end, as shares of the target's declared span.

    Quadratic, for most errors are small: with 10 bins the first ends at 1 % of the span.
    """
    edges: Floats = (np.arange(bins + 1) / bins) ** 2
    return edges


def error_bin(errors: Floats, bins: int) -> NDArray[np.int64]:
    """The bin of each error, given as a share of the span; beyond the last edge: the last bin."""
    places = np.searchsorted(error_edges(bins), errors, side="right") - 1
    return np.clip(places, 0, bins - 1)
