"""Training without noise or price, for tests that look at the sum itself."""

import numpy as np
import torch

from federation.learning import training
from federation.learning.clipping import clipped_sum
from federation.learning.initial import initial_tensors
from tests.learning.builders import flat


def quiet_update(protocol, data, *, tensors=None, noise_multiplier=0.0, denominator=1.0, steps=1):
    """The update after `steps` steps with a noise that `train` itself would refuse."""
    tensors = tensors or initial_tensors(protocol)
    session = training.prepare(protocol, tensors, data, noise_multiplier, denominator)
    for _ in range(steps):
        session.step()
    return flat(session.update())


def clipped(rows, units=None, n_units=None, bound=1.0):
    """`clipping.clipped_sum` of plain lists."""
    from_rows = torch.from_numpy(np.array(rows, dtype=np.float64))
    units = list(range(len(rows))) if units is None else units
    n_units = max(units, default=-1) + 1 if n_units is None else n_units
    return clipped_sum(from_rows, torch.tensor(units, dtype=torch.int64), n_units, bound).numpy()
