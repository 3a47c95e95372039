"""Many noises told apart by few: each is lowered to the lowest of its group, so ε only rises."""

from collections.abc import Sequence

import numpy as np


def lowered(noises: Sequence[float], most: int, groups: int) -> dict[float, float]:
    """Each noise → itself, or, of more than `most` different ones, the lowest of its group.

    The groups are equally wide in the logarithm of the noise.
    """
    levels = sorted(set(noises))
    if len(levels) <= most:
        return {level: level for level in levels}
    depths = np.log(np.array(levels) / levels[0])
    places = (depths * (groups / depths[-1])).astype(int)
    _, firsts, group = np.unique(places, return_index=True, return_inverse=True)
    return {
        level: levels[first] for level, first in zip(levels, firsts[group].tolist(), strict=True)
    }
