"""Patients of several rows: clipped as one they cost what one row does, clipped by row far more."""

from dataclasses import replace

import numpy as np
import pytest

from accounting.dp.accountants import epsilon
from federation.learning.initial import initial_tensors
from federation.learning.training import train
from tests.learning.builders import grouped, nothing, protocol, rows
from tests.learning.stepping import quiet_update

DELTA = 1e-5
# ACCOUNTING section 5: noise 1.1, rate 0.01, 1000 steps.
SETTINGS = {"sample_rate": 0.01, "local_steps": 1000}
BY_ROW = {1: 1.52, 2: 3.29, 5: 9.60, 10: 22.9}
EACH_COUNT = pytest.mark.parametrize("count", BY_ROW)


def trained(study, data):
    return train(
        protocol=study,
        tensors=initial_tensors(study),
        data=data,
        noise_multiplier=1.1,
        batch_denominator=1.0,
        step_done=nothing,
    ).events


def patients(count, n=20):
    return grouped(rows(count * n), np.arange(count * n) // count)


@EACH_COUNT
@pytest.mark.parametrize(("accountant", "shown"), [("pld", 1.5156), ("rdp", 1.7118)])
def test_what_training_clips_by_patient_costs_the_same_whatever_the_rows(count, accountant, shown):
    events = trained(protocol(patients=True, **SETTINGS), patients(count))
    assert [event.unit for event in events] == ["patient"]
    assert epsilon(events, DELTA, accountant).epsilon == pytest.approx(shown, abs=1e-4)


@EACH_COUNT
def test_what_training_clips_by_row_costs_a_patient_more_with_every_row(count):
    (event,) = trained(protocol(**SETTINGS), rows(20 * count))
    assert event.unit == "row"
    as_patient = replace(event, rows_per_unit=count)
    assert epsilon([as_patient], DELTA).epsilon == pytest.approx(BY_ROW[count], rel=3.5e-3)


@EACH_COUNT
def test_a_patients_rows_move_a_step_as_far_as_they_are_priced(count):
    common = {"sample_rate": 1.0, "learning_rate": 1.0, "max_grad_norm": 0.1}
    one = rows(1)
    same = type(one)(
        np.repeat(one.features, count, 0), np.repeat(one.targets, count), np.arange(count), count
    )
    by_row = np.linalg.norm(quiet_update(protocol(**common), same))
    together = grouped(same, np.zeros(count, np.int64))
    by_patient = np.linalg.norm(quiet_update(protocol(patients=True, **common), together))
    assert by_row == pytest.approx(0.1 * count, rel=1e-3)
    assert by_patient == pytest.approx(0.1, rel=1e-3)
