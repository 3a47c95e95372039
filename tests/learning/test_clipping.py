"""One privacy unit moves a step's sum by at most the clip, whatever its rows hold."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from federation.learning.clipping import clipped_sum
from federation.learning.initial import initial_tensors
from federation.protocol.contract import Encoded
from tests.learning.builders import FEATURES, flat, grouped, protocol, rows
from tests.learning.stepping import clipped, quiet_update

anything = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(arrays(np.float64, (6, 3), elements=anything), st.floats(1e-3, 1e3))
def test_no_unit_exceeds_the_clip(gradients, bound):
    for row in gradients:
        assert np.linalg.norm(clipped([row], bound=bound)) <= bound


@given(
    arrays(np.float64, (6, 3), elements=anything),
    st.lists(st.integers(0, 3), min_size=6, max_size=6),
)
def test_removing_a_unit_moves_the_sum_by_at_most_the_clip(gradients, units):
    whole = clipped(gradients, units, 4)
    for unit in range(4):
        kept = [i for i in range(6) if units[i] != unit]
        fewer = clipped_sum(
            torch.from_numpy(gradients[kept]),
            torch.tensor([units[i] for i in kept], dtype=torch.int64),
            4,
            1.0,
        ).numpy()
        assert np.linalg.norm(whole - fewer) <= 1 + 1e-12


def test_small_gradients_are_left_alone():
    assert clipped([[0.3, 0.4], [0.0, 0.5]]) == pytest.approx([0.3, 0.9])


def test_large_gradients_keep_their_direction():
    assert clipped([[30.0, 40.0]]) == pytest.approx([0.6, 0.8])


def test_a_patients_gradients_are_summed_before_the_clip():
    assert clipped([[3.0, 0.0], [-3.0, 0.0], [0.0, 0.5]], [0, 0, 1]) == pytest.approx([0.0, 0.5])


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_counts_as_zero(poison):
    assert clipped([[poison, 1.0], [0.3, 0.4]]) == pytest.approx([0.3, 0.4])


def test_one_poisoned_row_of_a_patient_leaves_the_other_rows():
    assert clipped([[np.nan, 1.0], [0.3, 0.4]], [0, 0]) == pytest.approx([0.3, 0.4])


def test_one_outlier_moves_the_update_by_at_most_the_clip():
    study = protocol(sample_rate=1.0, learning_rate=1.0, max_grad_norm=0.25)
    usual = rows(40)
    wild = usual.features.copy()
    wild[0] = 1e6
    changed = Encoded(
        np.delete(usual.features, 0, 0), np.delete(usual.targets, 0), np.arange(39), 39
    )
    for data in (Encoded(wild, usual.targets, usual.units, 40), usual):
        moved = quiet_update(study, data) - quiet_update(study, changed)
        assert 0 < np.linalg.norm(moved) <= 0.25 * (1 + 1e-5)  # weights are float32


@pytest.mark.parametrize("copies", [1, 2, 10, 50])
def test_copies_of_one_patients_row_move_at_most_the_clip(copies):
    study = protocol(sample_rate=1.0, learning_rate=1.0, max_grad_norm=0.1, patients=True)
    one = rows(1)
    data = Encoded(
        np.repeat(one.features, copies, 0),
        np.repeat(one.targets, copies),
        np.zeros(copies, np.int64),
        1,
    )
    moved = np.linalg.norm(quiet_update(study, data))
    assert 0.1 * (1 - 1e-4) < moved <= 0.1 * (1 + 1e-6)  # weights are float32


def test_rows_of_one_patient_may_stand_anywhere():
    study = protocol(sample_rate=1.0, patients=True)
    data = grouped(rows(6), [2, 0, 1, 0, 2, 1])
    order = np.argsort(data.units, kind="stable")
    sorted_data = Encoded(data.features[order], data.targets[order], data.units[order], 3)
    assert quiet_update(study, data) == pytest.approx(quiet_update(study, sorted_data))


def test_a_patient_is_clipped_as_one_in_every_chunking(monkeypatch):
    study = protocol(sample_rate=1.0, patients=True, max_grad_norm=0.3)
    data = grouped(rows(30), np.arange(30) // 7)
    whole = quiet_update(study, data)
    monkeypatch.setattr("federation.learning.training._CHUNK_ROWS", 3)
    # Of a patient larger than a chunk the norm is known exactly; else it is a bound from above.
    assert quiet_update(study, data) == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("poison", [np.nan, np.inf, 3e38])
def test_a_poisoned_record_does_not_destroy_the_weights(poison):
    study = protocol(sample_rate=1.0, model={"architecture": "mlp", "parameters": {"hidden": [8]}})
    data = rows(20)
    data.features[3] = poison
    update = quiet_update(study, data, steps=3)
    assert np.isfinite(update).all()
    assert np.abs(update).max() > 0


def test_a_model_with_broken_weights_still_steps():
    study = protocol(sample_rate=1.0)
    broken = {name: np.full_like(a, 3e38) for name, a in initial_tensors(study).items()}
    assert np.isfinite(quiet_update(study, rows(20), tensors=broken)).all()


def test_each_sample_weighs_the_same_in_every_chunking(monkeypatch):
    study = protocol(sample_rate=1.0)
    data = rows(101)
    whole = quiet_update(study, data, steps=2)
    for chunk in (1, 10, 100):
        monkeypatch.setattr("federation.learning.training._CHUNK_ROWS", chunk)
        assert quiet_update(study, data, steps=2) == pytest.approx(whole, rel=1e-5)


def test_the_parameters_are_as_many_as_the_model_has():
    assert len(flat(initial_tensors(protocol()))) == FEATURES + 1
