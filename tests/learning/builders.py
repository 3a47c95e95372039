"""Small protocols and data sets for the learning tests."""

import numpy as np

from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol

FEATURES = 4


def protocol(
    *,
    model=None,
    classes=2,
    patients=False,
    evaluation=None,
    features=FEATURES,
    shape=(),
    **training,
):
    """`shape` of more than one number: one column of arrays instead of `features` numbers."""
    columns = [{"name": f"x{i}", "low": -1, "high": 1} for i in range(features)]
    if len(shape) > 1:
        columns = [{"name": "x", "kind": "array", "shape": list(shape), "low": -1, "high": 1}]
    data = {
        "columns": columns,
        "target": {"column": "y", "classes": [[str(k)] for k in range(classes)]},
    }
    if patients:
        data |= {"unit": "patient", "patient_column": "who", "max_rows_per_patient": 50}
    settings = {"sample_rate": 0.5, "local_steps": 3, "learning_rate": 0.5, "max_grad_norm": 1.0}
    return Protocol(
        name="test",
        data=data,
        model=model or {"architecture": "logistic"},
        training=settings | training,
        privacy={"noise_multiplier": 1.0, "target_delta": 1e-5},
        rounds={"count": 2},
        evaluation=evaluation or {},
    )


def rows(count, *, classes=2, features=FEATURES, seed=0):
    """`count` rows, each its own unit."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, features)).astype(np.float32)
    targets = random.integers(0, classes, count)
    return Encoded(x, targets, np.arange(count), count)


def grouped(data, units):
    """The same rows, belonging to the units that `units` names by 0 … n − 1."""
    units = np.asarray(units)
    return Encoded(data.features, data.targets, units, int(units.max()) + 1)


def flat(tensors):
    """All numbers of an update or model in one vector, in the order of their names."""
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)]).astype(np.float64)


def nothing(_):
    """A `step_done` that does nothing."""
