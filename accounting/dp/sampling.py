"""What Poisson sampling does to a likelihood ratio, computed without cancellation."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def log_mixed(weight: float, log_ratio: Floats) -> Floats:
    """log(1 + weight·(exp(log_ratio) − 1)), elementwise; −inf or NaN where that is not positive.

    With weight q it is the log-likelihood ratio of a mechanism sampled at rate q, given the
    unsampled one; with weight 1/q it is the inverse of that map.
    """
    with np.errstate(all="ignore"):
        near = np.log1p(weight * np.expm1(np.minimum(log_ratio, 1.0)))
        far = log_ratio + np.log(weight + (1.0 - weight) * np.exp(-np.maximum(log_ratio, 1.0)))
    return np.where(log_ratio < 1.0, near, far)
