"""Who took part in the steps that training really makes, read off updates without noise."""

import numpy as np
import pytest
from scipy import stats

from federation.learning import engines, training
from federation.learning.initial import initial_tensors
from federation.protocol.contract import Encoded
from tests.learning.builders import protocol

UNITS, RATE, STEPS = 24, 0.3, 600


def marked(rows_each):
    """Unit i's rows alone move weight i."""
    units = np.repeat(np.arange(UNITS), rows_each)
    features = np.eye(UNITS, dtype=np.float32)[units]
    return Encoded(features, np.ones(len(units), np.int64), units, UNITS)


def taken(*, engine="bookkeeping", rows_each=1, steps=STEPS):
    """bool [steps, units]: who took part, in one run of many steps."""
    study = protocol(
        features=UNITS,
        patients=rows_each > 1,
        engine=engine,
        sample_rate=RATE,
        learning_rate=1e-3,
    )
    session = training.prepare(study, initial_tensors(study), marked(rows_each), 0.0, 1.0)
    seen = [session.update()["weight"][0]]
    for _ in range(steps):
        session.step()
        seen.append(session.update()["weight"][0])
    return np.diff(seen, axis=0) > 0


@pytest.mark.parametrize("rows_each", [1, 3])
@pytest.mark.parametrize("engine", engines.names())
def test_each_step_takes_each_unit_by_its_own_coin(engine, rows_each):
    steps = 200 if engine == "opacus" else STEPS
    found = taken(engine=engine, rows_each=rows_each, steps=steps)
    together = stats.binomtest(int(found.sum()), found.size, RATE).pvalue
    assert together > 1e-6
    deviation = np.sqrt(steps * RATE * (1 - RATE))
    assert np.abs(found.sum(axis=0) - steps * RATE).max() < 6 * deviation
    sizes = found.sum(axis=1)
    # A shuffled epoch has batches of one size; coins make sizes of this variance.
    spread = (steps - 1) * sizes.var(ddof=1) / (UNITS * RATE * (1 - RATE))
    low, high = stats.chi2.interval(1 - 1e-6, steps - 1)
    assert 0.9 * low < spread < 1.1 * high


def test_no_step_knows_who_took_part_in_the_last_one():
    found = taken()
    again = np.corrcoef(found[1:].ravel(), found[:-1].ravel())[0, 1]
    assert abs(again) < 6 / np.sqrt(found.size)


def test_two_runs_draw_their_own_samples():
    one, other = taken(steps=400), taken(steps=400)
    alike = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert abs(alike) < 6 / np.sqrt(one.size)
