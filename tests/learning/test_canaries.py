"""Canaries: the same everywhere, legal rows, far apart; scores that see only what was included."""

from dataclasses import replace

import numpy as np
import pytest

from accounting.dp.audit import measure
from benchmarks.audit import Case, audited, noise_over_the_batch
from benchmarks.audit import protocol as studied
from federation.learning.canaries import Seen, canaries, joined, scores
from federation.learning.gradients import clipped_rows, flat
from federation.learning.initial import initial_tensors
from federation.protocol import contract
from federation.protocol.document import Protocol

WIDE = Case("wide", 400, 40, rows=30, rounds=2)
COLUMNS = [
    {"name": "age", "low": 20, "high": 90},
    {"name": "chol", "low": 80, "high": 620, "centre": 240, "spread": 50, "missing": "drop"},
    {"name": "bp", "low": -9, "high": 9, "missing": "indicator"},
    {"name": "cp", "kind": "category", "categories": ["1", "2", "?"], "missing": "category"},
]


def mixed(**changes) -> Protocol:
    document = {
        "name": "mixed",
        "data": {
            "unit": "patient",
            "patient_column": "who",
            "max_rows_per_patient": 2,
            "missing_values": ["", "?", "-9", "-9.0"],
            "columns": COLUMNS,
            "target": {"column": "sick", "classes": [["no"], ["mild", "grave"], ["?"]]},
        },
        "model": {"architecture": "logistic"},
        "training": {
            "sample_rate": 0.5,
            "local_steps": 2,
            "learning_rate": 0.5,
            "max_grad_norm": 0.5,
        },
        "privacy": {"noise_multiplier": 1.0, "target_delta": 1e-5},
        "rounds": {"count": 2},
        "audit": {"canaries": 200},
        "cohort": [{"institution": "north", "cohort_size": 60}],
    }
    return Protocol.model_validate(document | changes)


def test_canaries_are_legal_rows_at_the_edges_of_the_contract():
    agreed = mixed()
    found = canaries(agreed)
    names = contract.names(agreed.data)
    assert found.features.shape == (200, len(names))
    assert found.n_units == 200
    by_name = dict(zip(names, found.features.T, strict=True))
    assert set(by_name["age"]) == {-1.0, 1.0}
    assert {round(float(v), 2) for v in by_name["chol"]} == {-3.2, 7.6}
    assert not by_name["bp missing"].any()
    kinds = found.features[:, names.index("cp = 1") : names.index("cp = ?") + 1]
    assert (kinds.sum(axis=1) == 1).all()
    assert np.bincount(found.targets, minlength=3).min() > 40


def test_canaries_of_images_are_drawn_number_by_number():
    data = mixed().data.model_dump(mode="json")
    data["columns"] = [{"name": "image", "kind": "array", "shape": [3, 4, 4]}]
    found = canaries(mixed(data=data))
    assert found.features.shape == (200, 48)
    assert set(found.features.ravel()) == {-1.0, 1.0}
    assert abs(found.features.mean()) < 0.06  # 9600 fair coins: standard deviation 0.01
    assert abs(np.corrcoef(found.features)[np.triu_indices(200, 1)]).max() < 0.8
    assert (found.features == canaries(mixed(data=data)).features).all()


def test_series_have_no_canaries():
    data = mixed().data.model_dump(mode="json")
    data["windows"] = {"length": 2, "order": ["age"]}
    with pytest.raises(ValueError, match="canaries are no series"):
        mixed(data=data)


def test_everybody_makes_the_same_and_another_protocol_has_others():
    first, again = canaries(mixed()), canaries(mixed())
    assert (first.features == again.features).all()
    assert (first.targets == again.targets).all()
    other = canaries(mixed(name="another"))
    assert not (first.features == other.features).all()


def test_a_protocol_without_audit_has_none():
    with pytest.raises(ValueError, match=r"\[audit\]"):
        canaries(mixed(audit=None))


def test_included_canaries_are_further_units_behind_the_rows():
    agreed = mixed()
    data, every = canaries(mixed(name="rows")), canaries(agreed)
    coins = [1, 0, 1, *[0] * 197]
    both = joined(data, agreed, coins)
    assert both.n_units == data.n_units + 2
    assert (both.features[-2:] == every.features[[0, 2]]).all()
    assert both.units[-2:].tolist() == [200, 201]
    assert (both.features[:-2] == data.features).all()


def test_their_gradients_are_long_and_nearly_orthogonal_in_a_wide_model():
    agreed = studied(WIDE, 0)
    rows = clipped_rows(agreed, initial_tensors(agreed), canaries(agreed))
    lengths = np.linalg.norm(rows, axis=1)
    assert lengths == pytest.approx(np.full(40, agreed.training.max_grad_norm))
    cosines = rows @ rows.T / np.outer(lengths, lengths)
    assert np.abs(cosines[~np.eye(40, dtype=bool)]).mean() < 1.5 / np.sqrt(400)


def test_a_stride_keeps_every_nth_number_of_the_clipped_gradient():
    agreed = studied(WIDE, 0)
    model, rows = initial_tensors(agreed), canaries(agreed)
    whole = clipped_rows(agreed, model, rows)
    assert (clipped_rows(agreed, model, rows, stride=3) == whole[:, ::3]).all()


def test_a_gradient_that_is_not_finite_is_zero():
    agreed = studied(WIDE, 0)
    rows = canaries(agreed)
    rows.features[0, 0] = np.nan
    found = clipped_rows(agreed, initial_tensors(agreed), rows)
    assert not found[0].any()
    assert found[1].any()


def clean(agreed: Protocol, coins: np.ndarray, optimiser: str = "sgd") -> Seen:
    """One round in which the included canaries alone were drawn at every step, without noise."""
    training = agreed.training.model_copy(update={"optimiser": optimiser, "sample_rate": 1.0})
    model = initial_tensors(agreed)
    gradients = clipped_rows(agreed, model, canaries(agreed))
    weights = {"sgd": 4.0, "momentum": sum((1 - 0.9**k) / 0.1 for k in (4, 3, 2, 1))}[optimiser]
    total = weights * training.learning_rate * (coins @ gradients) / 15.0  # rate 0.5 · 30 rows
    update = {}
    for name in sorted(model):
        size = model[name].size
        update[name], total = -total[:size].reshape(model[name].shape), total[size:]
    return Seen(model, {"site-0": update}, 1e-3)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum"])
def test_without_noise_and_rows_the_coins_are_read_off(optimiser):
    agreed = studied(WIDE, 0)
    training = agreed.training.model_copy(update={"optimiser": optimiser, "momentum": 0.9})
    agreed = agreed.model_copy(update={"training": training})
    coins = np.random.default_rng(0).integers(0, 2, 40)
    found = scores(agreed, [clean(agreed, coins, optimiser)])["site-0"]
    assert ((found > np.median(found)) == (coins == 1)).mean() > 0.9
    assert found[coins == 1].min() > found[coins == 0].max()


def test_a_site_that_was_left_out_of_a_round_is_scored_on_the_others():
    agreed = studied(WIDE, 0)
    coins = np.random.default_rng(0).integers(0, 2, 40)
    seen = clean(agreed, coins)
    found = scores(agreed, [seen, replace(seen, updates={})])
    assert list(found) == ["site-0"]
    assert scores(agreed, [replace(seen, updates={})]) == {}


def test_an_update_of_zeros_scores_without_failing():
    agreed = studied(WIDE, 0)
    model = initial_tensors(agreed)
    nothing = {name: np.zeros_like(array) for name, array in model.items()}
    found = scores(agreed, [Seen(model, {"site-1": nothing, "site-0": nothing}, 1.0)])
    assert all(np.isfinite(values).all() for values in found.values())


def test_coins_that_nobody_used_are_not_found():
    """The null: real training, but the scores are held against other coins."""
    agreed = studied(WIDE, 1)
    random = np.random.default_rng(3)
    seen = clean(agreed, random.integers(0, 2, 40))
    found = scores(agreed, [seen])["site-0"]
    runs = [measure(found, random.integers(0, 2, 40), 1e-5).lower > 0 for _ in range(400)]
    assert np.mean(runs) <= 0.05


CAUGHT = Case("600 columns", 600, 60)


def test_noise_over_the_batch_is_caught_and_the_right_build_is_not():
    """ACCOUNTING 9, over seeds: each study is derived ε = 1 at three sites."""
    for seed in range(3):
        agreed = studied(CAUGHT, seed)
        assert max(one.lower for one in audited(agreed, seed).values()) < 0.8
        with noise_over_the_batch():
            broken = audited(agreed, seed)
        assert max(one.lower for one in broken.values()) > 1.0


def test_the_canaries_change_no_price_and_no_denominator():
    agreed = studied(CAUGHT, 0)
    without = agreed.model_copy(update={"audit": None})
    assert agreed.plan == without.plan
    assert flat(initial_tensors(agreed)).size == 601
