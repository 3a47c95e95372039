"""What Poisson sampling does to a likelihood ratio, computed without cancellation."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

Floats = NDArray[np.float64]


def log_mixed(weight: float, log_ratio: Floats) -> Floats:
    """log(1 + weight·(exp(log_ratio) − 1)), elementwise; −inf or NaN where that is not positive.

    With weight q it is the log-likelihood ratio of a mechanism sampled at rate q, given the
    unsampled one; with weight 1/q it is the inverse of that map.
    """
    if weight == 1.0:
        return log_ratio
    with np.errstate(all="ignore"):
        near = np.log1p(weight * np.expm1(np.minimum(log_ratio, 1.0)))
        far = log_ratio + np.log(weight + (1.0 - weight) * np.exp(-np.maximum(log_ratio, 1.0)))
    return np.where(log_ratio < 1.0, near, far)


def log_likelihood_ratio(z: Floats, noise: float, rate: float, rows: int) -> Floats:
    """log f(z): the density of N(B, noise²), B ~ Binomial(rows, rate), over that of N(0, noise²).

    It rises with z. `noise` is the noise multiplier, z a sum's coordinate along the unit's own
    contribution, in clips.
    """
    if rows == 1:
        return log_mixed(rate, (2.0 * z - 1.0) / (2.0 * noise**2))
    taken = np.arange(1, rows + 1)[:, None]
    log_weights = log_binomial(rows, rate)[1:, None]
    exponents = taken * (2.0 * z - taken) / (2.0 * noise**2)
    small = np.minimum(exponents, 1.0)
    near = np.log1p((np.exp(log_weights) * np.expm1(small)).sum(axis=0))
    far = np.logaddexp(logsumexp(log_weights + exponents, axis=0), rows * math.log1p(-rate))
    return np.where(exponents.max(axis=0) < 1.0, near, far)


def log_binomial(count: int, rate: float) -> Floats:
    """The logarithm of the probability of 0, 1, …, count successes at `rate`."""
    taken = np.arange(count + 1)
    choose = gammaln(count + 1) - gammaln(taken + 1) - gammaln(count - taken + 1)
    if rate == 1.0:
        return np.where(taken == count, 0.0, -np.inf)
    return choose + taken * math.log(rate) + (count - taken) * math.log1p(-rate)
