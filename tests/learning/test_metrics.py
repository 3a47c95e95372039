"""Metrics against scikit-learn, and against noise that makes them undefined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as reference

from federation.learning.metrics import from_histogram, from_scores

random = np.random.default_rng(7)


def scored(count, ties):
    targets = random.integers(0, 2, count)
    scores = np.clip(random.normal(0.4 + 0.2 * targets, 0.2), 0, 1)
    scores = np.round(scores * ties) / ties
    return np.column_stack([1 - scores, scores]), targets


@pytest.mark.parametrize("ties", [4, 10, 10**6])
def test_two_classes_agree_with_scikit_learn(ties):
    probabilities, targets = scored(300, ties)
    predicted = probabilities[:, 1] >= 0.5
    ours = from_scores(probabilities, targets)
    assert ours == {
        "accuracy": pytest.approx(reference.accuracy_score(targets, predicted)),
        "auc": pytest.approx(reference.roc_auc_score(targets, probabilities[:, 1])),
        "log_loss": pytest.approx(
            reference.log_loss(targets, np.clip(probabilities[:, 1], 1e-7, 1 - 1e-7)), rel=1e-6
        ),
        "sensitivity": pytest.approx(reference.recall_score(targets, predicted)),
        "specificity": pytest.approx(reference.recall_score(targets, predicted, pos_label=0)),
    }


def test_more_classes_agree_with_scikit_learn():
    probabilities = random.dirichlet(np.ones(4), 300)
    targets = random.integers(0, 4, 300)
    ours = from_scores(probabilities, targets)
    assert ours["accuracy"] == pytest.approx((probabilities.argmax(1) == targets).mean())
    assert ours["auc"] == pytest.approx(
        reference.roc_auc_score(targets, probabilities, multi_class="ovr")
    )
    assert ours["log_loss"] == pytest.approx(reference.log_loss(targets, probabilities))
    assert ours["sensitivity"] is None


@pytest.mark.parametrize("bins", [2, 10, 100])
def test_a_histogram_tells_the_same_as_its_binned_scores(bins):
    probabilities, targets = scored(500, 10**6)
    place = np.minimum((probabilities[:, 1] * bins).astype(int), bins - 1)
    counts = np.zeros((bins, 2))
    np.add.at(counts, (place, targets), 1)
    ours, exact = from_histogram(counts), from_scores(probabilities, targets)
    for name in ("accuracy", "sensitivity", "specificity"):
        assert ours[name] == pytest.approx(exact[name])
    assert ours["auc"] == pytest.approx(reference.roc_auc_score(targets, place))


def test_an_odd_middle_bin_counts_half():
    counts = np.array([[3.0, 0.0], [2.0, 4.0], [0.0, 1.0]])
    assert from_histogram(counts)["accuracy"] == pytest.approx((3 + 1 + 2 + 1) / 10)


def test_calibration_has_a_point_per_bin():
    points = from_histogram(np.array([[3.0, 1.0], [0.0, 0.0]]))["calibration"]
    assert points == [
        {"predicted": 0.25, "observed": 0.25, "weight": 4.0},
        {"predicted": 0.75, "observed": None, "weight": 0.0},
    ]


def test_a_table_of_classes_gives_recalls():
    table = np.array([[8.0, 1.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    assert from_histogram(table) == {
        "accuracy": pytest.approx(12 / 15),
        "auc": None,
        "sensitivity": None,
        "specificity": None,
        "recalls": [pytest.approx(0.8), pytest.approx(0.8), None],
    }


def test_negative_cells_count_as_zero():
    noisy = from_histogram(np.array([[5.0, -3.0], [-9.0, 5.0]]))
    assert (noisy["accuracy"], noisy["auc"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    "counts", [np.zeros((10, 2)), np.full((4, 4), -1.0), np.full((3, 2), np.nan)]
)
def test_nothing_counted_is_undefined(counts):
    metrics = from_histogram(counts)
    assert metrics["accuracy"] is None
    assert metrics["auc"] is None


def test_one_class_only_has_no_auc():
    metrics = from_scores(np.array([[0.2, 0.8], [0.4, 0.6]]), np.array([1, 1]))
    assert metrics["auc"] is None
    assert metrics["specificity"] is None
    assert metrics["sensitivity"] == 1.0


def test_no_rows_at_all():
    assert set(from_scores(np.empty((0, 2)), np.empty(0, np.int64)).values()) == {None}


def test_a_broken_model_still_gets_finite_metrics():
    metrics = from_scores(np.full((4, 2), np.nan), np.array([0, 1, 0, 1]))
    assert metrics["accuracy"] == 0.5
    assert np.isfinite(metrics["log_loss"])


shapes = st.one_of(
    st.tuples(st.integers(2, 12), st.just(2)), st.integers(3, 6).map(lambda k: (k, k))
)


@given(
    shapes.flatmap(lambda shape: arrays(np.float32, shape, elements=st.floats(-1e6, 1e6, width=32)))
)
def test_every_noised_histogram_gives_fractions_or_none(counts):
    metrics = from_histogram(counts)
    for name in ("accuracy", "auc", "sensitivity", "specificity"):
        assert metrics[name] is None or 0 <= metrics[name] <= 1 + 1e-9
