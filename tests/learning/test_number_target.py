"""Learning a number: its loss, its clip, what a model predicts, and what may be said of it."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from federation.learning import engines, losses
from federation.learning.canaries import canaries
from federation.learning.evaluation import count_errors, histogram, measured, predict
from federation.learning.gradients import clipped_rows
from federation.learning.initial import initial_tensors
from federation.learning.layout import Layout
from federation.learning.losses import Loss, SquaredError
from federation.learning.metrics import from_errors, from_values
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from tests.learning.builders import protocol, rows
from tests.learning.stepping import quiet_update

EVALUATION = {"every": 1, "holdout": 0.2, "bins": 20, "noise_multiplier": 2}


def study(**options):
    options.setdefault("evaluation", EVALUATION)
    document = protocol(**options).model_dump(mode="json")
    document["data"]["target"] = {"column": "y", "kind": "number", "low": 0, "high": 50}
    return Protocol.model_validate(document)


def line(count, noise=0.0, seed=0):
    """Targets that lie on a plane over four features, within the bounds."""
    data = rows(count, seed=seed)
    random = np.random.default_rng(seed)
    targets = np.clip(data.features @ np.array([0.2, -0.1, 0.05, 0]) + 0.1, -1, 1)
    targets = np.clip(targets + noise * random.normal(size=count), -1, 1)
    return Encoded(data.features, targets.astype(np.float32), data.units, data.n_units)


def test_the_slope_is_that_of_autograd():
    outputs = torch.randn(9, 1, requires_grad=True)
    targets = torch.randn(9)
    loss = SquaredError()(outputs, targets)
    assert float(loss.detach()) == pytest.approx(
        float(((outputs.detach()[:, 0] - targets) ** 2).sum() / 2)
    )
    (found,) = torch.autograd.grad(loss, outputs)
    assert torch.allclose(found, SquaredError().slope(outputs.detach(), targets))


def test_the_target_decides_the_loss():
    assert type(losses.of(study())) is SquaredError
    assert type(losses.of(protocol())) is Loss


@pytest.mark.parametrize("module", [nn.Linear(4, 1), nn.Sequential(nn.Flatten(), nn.Linear(4, 1))])
def test_engines_agree_and_no_target_passes_the_clip(module):
    features, targets = torch.randn(6, 4), torch.tensor([0.1, -0.4, 1e6, -1e3, 0.0, 1.0])
    sums = [
        engines.get(name)
        .gradients(copy.deepcopy(module), SquaredError(), features[:2])
        .clipped_sum(features, targets, Layout(None, 6), 0.3)
        .double()
        for name in ("bookkeeping", "opacus")
    ]
    assert torch.allclose(*sums, rtol=1e-4, atol=1e-6)
    one = engines.get("bookkeeping").gradients(module, SquaredError(), features[:2])
    alone = one.clipped_sum(features[2:3], targets[2:3], Layout(None, 1), 0.3)
    assert 0.29 < float(alone.double().norm()) <= 0.3


def test_rows_of_a_number_are_clipped_for_an_audit_too():
    found = clipped_rows(study(max_grad_norm=0.01), initial_tensors(study()), line(5))
    assert found.shape == (5, 5)
    assert np.linalg.norm(found, axis=1) == pytest.approx([0.01] * 5, rel=1e-3)


def test_canaries_of_a_number_stand_at_its_bounds():
    document = study().model_dump(mode="json") | {"audit": {"canaries": 40}}
    found = canaries(Protocol.model_validate(document))
    assert found.targets.dtype == np.float32
    assert set(found.targets.tolist()) == {-1.0, 1.0}


def test_a_grade_of_exact_noise_takes_numbers_too():
    data = line(40)
    one = quiet_update(study(sample_rate=1.0), data, denominator=40.0)
    hardened = quiet_update(study(sample_rate=1.0, noise="hardened"), data, denominator=40.0)
    assert hardened == pytest.approx(one, abs=1e-4)


def test_it_learns_a_plane():
    chosen = study(sample_rate=1.0, max_grad_norm=5.0, learning_rate=0.5)
    data = line(400)
    tensors = initial_tensors(chosen)
    update = quiet_update(chosen, data, denominator=400.0, steps=120)
    learned = {"bias": tensors["bias"] + update[:1], "weight": tensors["weight"] + update[1:]}
    learned = {name: array.astype(np.float32) for name, array in learned.items()}
    before = measured(protocol=chosen, tensors=tensors, rows=data)
    after = measured(protocol=chosen, tensors=learned, rows=data)
    assert after["mae"] < 0.1 < 1 < before["mae"]
    assert after["rmse"] < 0.1 * before["rmse"]


def test_predictions_are_in_the_targets_unit_and_within_its_bounds():
    chosen = study()
    features = np.zeros((1, 4), np.float32)
    for bias, expected in ((0.0, 25.0), (-0.5, 12.5), (9.0, 50.0), (-np.inf, 0.0), (np.nan, 0.0)):
        tensors = {"weight": np.zeros((1, 4), np.float32), "bias": np.array([bias], np.float32)}
        assert predict(protocol=chosen, tensors=tensors, features=features).tolist() == [[expected]]


error = st.tuples(st.floats(-2, 2), st.integers(0, 3))


@given(st.lists(error, max_size=12), st.integers(2, 20), st.integers(0, 3))
def test_a_unit_moves_the_histogram_by_at_most_one(entries, bins, leaver):
    def counted(kept):
        units = np.array([unit for _, unit in kept], np.int64)
        errors = np.array([value for value, _ in kept])
        return count_errors(errors, Encoded(None, errors, units, 4), bins)

    moved = counted(entries) - counted([entry for entry in entries if entry[1] != leaver])
    assert np.linalg.norm(moved) <= 1 + 1e-12


def test_the_numbers_of_a_row_share_its_weight():
    errors = np.array([[0.0, 0.5, -0.5, 0.5], [1.0, 1.0, 1.0, 1.0]])
    counts = count_errors(errors, Encoded(None, errors, np.array([0, 1]), 2), 2)
    assert counts.tolist() == [[0.25, 0], [0.25, 1.5]]
    patient = count_errors(errors, Encoded(None, errors, np.array([0, 0]), 1), 2)
    assert patient.tolist() == [[0.125, 0], [0.125, 0.75]]


def test_a_forecast_of_many_rows_is_one_output_for_each():
    document = study(patients=True).model_dump(mode="json")
    windows = {"length": 24, "horizon": 1, "ahead": 24, "order": ["hour"]}
    document["data"] |= {"windows": windows, "columns": [{"name": "y", "low": 0, "high": 50}]}
    document["model"] = {"architecture": "lstm", "parameters": {"hidden": 16, "layers": 2}}
    chosen = Protocol.model_validate(document | {"audit": None})
    tensors = initial_tensors(chosen)
    assert tensors["head.weight"].shape == (24, 16)
    random = np.random.default_rng(0)
    features, targets = (random.uniform(-1, 1, (30, 24)).astype(np.float32) for _ in range(2))
    data = Encoded(features, targets, np.arange(30) // 2, 15)
    assert np.abs(quiet_update(chosen, data, denominator=15.0, steps=2)).max() > 0
    assert predict(protocol=chosen, tensors=tensors, features=features).shape == (30, 24)
    priced = histogram(protocol=chosen, tensors=tensors, data=data, noise_multiplier=1e-6)
    assert priced.tensors["histogram"].sum() == pytest.approx(15, abs=1e-3)
    assert 0 < measured(protocol=chosen, tensors=tensors, rows=data)["mae"] < 50


def test_metrics_of_values_have_a_known_answer():
    found = from_values(np.array([1.0, 2.0, 6.0]), np.array([2.0, 2.0, 2.0]))
    assert found == pytest.approx({"mae": 5 / 3, "rmse": np.sqrt(17 / 3), "bias": 1.0})
    assert from_values(np.array([]), np.array([])) == {"mae": None, "rmse": None, "bias": None}


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60))
def test_a_histogram_tells_errors_to_the_width_of_their_bins(errors):
    errors = np.array(errors)
    counts = count_errors(errors, Encoded(None, errors, np.arange(len(errors)), len(errors)), 50)
    found = from_errors(counts, 10.0)
    widest = 10.0 * (1 - (49 / 50) ** 2)
    truth = from_values(10 * errors, np.zeros(len(errors)))
    for name in ("mae", "rmse", "bias"):
        assert found[name] == pytest.approx(truth[name], abs=widest)


def test_noise_does_not_bend_the_mean_error():
    random = np.random.default_rng(0)
    errors = 0.05 * random.normal(size=2000)
    exact = count_errors(errors, Encoded(None, errors, np.arange(2000), 2000), 10)
    found = [
        from_errors(exact + 5 * random.normal(size=exact.shape), 1.0)["mae"] for _ in range(400)
    ]
    assert None not in found
    # The mean of 400 runs, whose own spread is about 0.009.
    assert np.mean(found) == pytest.approx(from_errors(exact, 1.0)["mae"], abs=0.002)
    # The bins themselves tell it to a tenth: the truth is 0.040.
    assert from_errors(exact, 1.0)["mae"] == pytest.approx(np.abs(errors).mean(), rel=0.1)


def test_what_noise_has_drowned_is_not_told():
    """A mean error below zero is none, nor is a bias beyond the mean error."""
    drowned = np.zeros((10, 2))
    drowned[0], drowned[9] = 50, (-2, -4)
    assert from_errors(drowned, 1.0) == {"mae": None, "rmse": None, "bias": None}
    one_sided = np.zeros((10, 2))
    one_sided[0, 0], one_sided[9] = 100, (-1, 2)
    found = from_errors(one_sided, 1.0)
    assert found["mae"] > 0
    assert found["bias"] is None


def test_no_figure_passes_what_an_error_can_be():
    """Cells that noise made negative can take the total away and leave the large errors."""
    few = np.zeros((10, 2))
    few[0], few[9] = (0, -96), (0, 100)
    assert from_errors(few, 100.0) == {"mae": 100.0, "rmse": 100.0, "bias": 100.0}
    assert from_errors(few[:, ::-1], 100.0)["bias"] == -100.0


@given(st.lists(st.floats(-60, 60), min_size=20, max_size=20), st.floats(0, 20))
def test_every_figure_is_possible_or_none(cells, noise):
    found = from_errors(np.reshape(cells, (10, 2)), 7.0, noise)
    for name, least in (("mae", 0), ("rmse", 0), ("bias", -7)):
        assert found[name] is None or least <= found[name] <= 7


def test_a_total_within_its_own_noise_tells_nothing():
    """Twenty cells with a deviation of 10 have 44.7 together: 89 is too few, 90 are told."""
    counts = np.zeros((10, 2))
    counts[0] = 60, 29
    assert set(from_errors(counts, 1.0, 10.0).values()) == {None}
    assert None not in from_errors(counts, 1.0).values()
    counts[0] += 1
    assert None not in from_errors(counts, 1.0, 10.0).values()


def test_nothing_counted_is_nothing_said():
    assert from_errors(np.zeros((5, 2)), 1.0)["mae"] is None
    assert from_errors(-np.ones((5, 2)), 1.0)["rmse"] is None


def test_what_is_released_is_noised_and_has_its_price():
    chosen = study()
    data = line(3000, noise=0.1)
    priced = histogram(
        protocol=chosen, tensors=initial_tensors(chosen), data=data, noise_multiplier=0.2
    )
    (event,) = priced.events
    assert (event.noise_multiplier, event.sample_rate, event.max_grad_norm) == (0.2, 1.0, 1.0)
    found = priced.tensors["histogram"]
    assert (found.shape, found.dtype) == ((20, 2), np.float32)
    told = from_errors(found, chosen.data.target.span)
    exact = measured(protocol=chosen, tensors=initial_tensors(chosen), rows=data)
    assert told["mae"] == pytest.approx(exact["mae"], rel=0.1)
    assert told["rmse"] == pytest.approx(exact["rmse"], rel=0.1)
