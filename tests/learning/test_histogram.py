"""The released histogram: one unit moves it by at most 1, and its noise is what was priced."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from accounting.dp.events import Mechanism
from federation.learning import evaluation
from federation.learning.evaluation import chunk_rows, count, histogram, predict
from federation.learning.initial import initial_tensors
from federation.protocol.contract import Encoded
from tests.learning.builders import FEATURES, grouped, protocol, rows


def data(targets, units):
    size = len(targets)
    return Encoded(
        np.zeros((size, FEATURES), np.float32),
        np.array(targets, np.int64),
        np.array(units, np.int64),
        4,
    )


row = st.tuples(st.floats(0, 1), st.integers(0, 1), st.integers(0, 3))


@given(st.lists(row, max_size=12), st.integers(2, 12), st.integers(0, 3))
def test_a_unit_moves_the_histogram_by_at_most_one(entries, bins, leaver):
    def counted(kept):
        scores = np.array([score for score, _, _ in kept])
        probabilities = np.column_stack([1 - scores, scores]).reshape(-1, 2)
        return count(probabilities, data([t for _, t, _ in kept], [u for *_, u in kept]), bins)

    moved = counted(entries) - counted([entry for entry in entries if entry[2] != leaver])
    assert np.linalg.norm(moved) <= 1 + 1e-12


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), max_size=12))
def test_the_same_with_five_classes(entries):
    probabilities = np.eye(5)[[predicted for predicted, _, _ in entries]].reshape(-1, 5)
    counts = count(probabilities, data([t for _, t, _ in entries], [u for *_, u in entries]), 10)
    assert counts.shape == (5, 5)
    assert counts.sum() == pytest.approx(len({unit for *_, unit in entries}))


def test_scores_fall_into_their_bins():
    scores = np.array([0.0, 0.09, 0.1, 0.5, 0.99, 1.0])
    targets = np.array([0, 1, 0, 1, 1, 1])
    counts = count(
        np.column_stack([1 - scores, scores]), Encoded(None, targets, np.arange(6), 6), 10
    )
    assert counts[:, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert counts[:, 1].tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 2]


def test_a_patient_adds_the_mean_of_its_rows():
    scores = np.array([0.1, 0.9, 0.9, 0.9])
    who = Encoded(None, np.zeros(4, np.int64), np.array([0, 0, 0, 0]), 1)
    counts = count(np.column_stack([1 - scores, scores]), who, 2)
    assert counts[:, 0].tolist() == [0.25, 0.75]


def released(study, rows_, noise_multiplier=2.0):
    return histogram(
        protocol=study,
        tensors=initial_tensors(study),
        data=rows_,
        noise_multiplier=noise_multiplier,
    )


def test_the_event_is_one_gaussian_with_sensitivity_one():
    priced = released(protocol(patients=True), grouped(rows(8), np.arange(8) // 2))
    (event,) = priced.events
    assert event.mechanism is Mechanism.GAUSSIAN
    assert (event.noise_multiplier, event.sample_rate, event.steps) == (2.0, 1.0, 1)
    assert (event.max_grad_norm, event.unit) == (1.0, "patient")
    assert priced.tensors["histogram"].dtype == np.float32
    assert priced.tensors["histogram"].shape == (10, 2)


def test_more_classes_release_a_square_table():
    priced = released(protocol(classes=3), rows(8, classes=3))
    assert priced.tensors["histogram"].shape == (3, 3)


def test_the_noise_is_as_large_as_priced_and_fresh():
    study, some = protocol(), rows(6)
    exact = count(
        predict(protocol=study, tensors=initial_tensors(study), features=some.features), some, 10
    )
    noise = [released(study, some, 3.0).tensors["histogram"] - exact for _ in range(300)]
    low, high = stats.chi2.interval(1 - 1e-6, np.size(noise))
    assert low <= np.sum(np.square(noise)) / 9 <= high
    assert len({draw.tobytes() for draw in noise}) == 300


def test_an_empty_hold_out_is_released_as_noise():
    empty = Encoded(
        np.empty((0, FEATURES), np.float32), np.empty(0, np.int64), np.empty(0, np.int64), 0
    )
    assert (released(protocol(), empty).tensors["histogram"] != 0).all()


def test_a_broken_model_tells_nothing_but_numbers():
    study = protocol()
    broken = {n: np.full_like(a, np.nan) for n, a in initial_tensors(study).items()}
    priced = histogram(protocol=study, tensors=broken, data=rows(9), noise_multiplier=1.0)
    assert np.isfinite(priced.tensors["histogram"]).all()


@pytest.mark.parametrize("classes", [2, 4])
def test_predictions_are_probabilities(classes):
    study = protocol(classes=classes, initialisation="seeded")
    probabilities = predict(
        protocol=study, tensors=initial_tensors(study), features=rows(70_000).features
    )
    assert probabilities.shape == (70_000, classes)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(70_000))
    assert (probabilities >= 0).all()


def test_read_only_features_are_read():
    features = rows(5).features
    features.flags.writeable = False
    study = protocol()
    assert predict(protocol=study, tensors=initial_tensors(study), features=features).shape == (
        5,
        2,
    )


def test_large_images_are_looked_at_few_at_a_time_and_give_the_same(monkeypatch):
    """What lies in memory for a chunk is many times its images."""
    model = {"architecture": "cnn", "parameters": {"channels": [8], "hidden": 0}}
    large = protocol(model=model, shape=(3, 224, 224))
    assert chunk_rows(large) == 27
    assert chunk_rows(protocol()) == 65_536
    study = protocol(model=model, shape=(1, 4, 4))
    features, tensors = rows(50, features=16).features, initial_tensors(study)
    whole = predict(protocol=study, tensors=tensors, features=features)
    monkeypatch.setattr(evaluation, "_CHUNK_NUMBERS", 16 * 7)
    assert chunk_rows(study) == 7
    found = predict(protocol=study, tensors=tensors, features=features)
    assert found == pytest.approx(whole, abs=1e-6)
