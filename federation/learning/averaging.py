"""Averaging a study's global iterates: noise that rounds added independently partly cancels.

Suffix averaging after Rakhlin, Shamir and Sridharan 2012 (arXiv 1109.5647): post-processing of
released models, so it costs no privacy.
"""

from collections.abc import Sequence

import numpy as np

from federation.protocol.tensors import Tensors


def window(rounds: int) -> int:
    """How many of the last iterates the average after `rounds` rounds takes: half, rounded up."""
    return (rounds + 1) // 2


def last_half(iterates: Sequence[Tensors]) -> Tensors:
    """The mean of the last half of the models after rounds 1 … n, oldest first, same dtypes.

    Raises:
        ValueError: there is no iterate.
    """
    if not iterates:
        raise ValueError("there is no model to average yet; average after the first round")
    taken = iterates[-window(len(iterates)) :]
    return {name: _mean([model[name] for model in taken]) for name in taken[-1]}


def _mean(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.mean([array.astype(np.float64) for array in arrays], axis=0).astype(arrays[0].dtype)
