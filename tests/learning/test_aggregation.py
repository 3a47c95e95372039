"""Strategies and averaging are plain, repeatable means of what was released."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from federation.learning import strategies
from federation.learning.averaging import last_half, window
from federation.learning.strategies import UnknownStrategy

numbers = arrays(np.float32, (2, 3), elements=st.floats(-1e3, 1e3, width=32))
sites = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]), st.tuples(numbers, st.floats(0.1, 1000)), min_size=1
)


@given(numbers, sites)
def test_fedavg_adds_the_weighted_mean(start, contributions):
    updates = {site: {"w": update} for site, (update, _) in contributions.items()}
    weights = {site: weight for site, (_, weight) in contributions.items()}
    moved = strategies.get("fedavg").aggregate({"w": start}, updates, weights)["w"]
    expected = start + np.average(
        [updates[site]["w"] for site in updates], axis=0, weights=[weights[s] for s in updates]
    )
    assert moved == pytest.approx(expected, rel=1e-5, abs=1e-3)
    assert moved.dtype == np.float32


@given(numbers, sites, st.randoms())
def test_the_order_of_arrival_changes_no_byte(start, contributions, random):
    names = list(contributions)
    random.shuffle(names)
    weights = {site: weight for site, (_, weight) in contributions.items()}

    def moved(order):
        updates = {site: {"w": contributions[site][0]} for site in order}
        return strategies.get("fedavg").aggregate({"w": start}, updates, weights)["w"].tobytes()

    assert moved(names) == moved(sorted(names))


@pytest.mark.parametrize("name", strategies.names())
def test_every_strategy_keeps_the_promise(name):
    chosen = strategies.get(name)
    assert chosen.name == name
    assert chosen.title
    assert chosen.description
    model = chosen.begun({"w": np.ones((2, 2), np.float32), "b": np.zeros(2, np.float32)})
    assert set(chosen.model(model)) == {"w", "b"}
    update = {"w": np.full((2, 2), 0.5, np.float32), "b": np.ones(2, np.float32)}
    before = {n: a.copy() for n, a in model.items()}
    moved = chosen.aggregate(model, {"a": update, "b": update}, {"a": 1.0, "b": 3.0, "absent": 9.0})
    assert {n: (a.shape, a.dtype) for n, a in moved.items()} == {
        n: (a.shape, a.dtype) for n, a in model.items()
    }
    assert all(np.array_equal(model[n], before[n]) for n in model)


def test_equal_updates_move_by_that_update():
    one = {"w": np.array([1.5], np.float32)}
    moved = strategies.get("fedavg").aggregate(
        {"w": np.zeros(1, np.float32)}, {"a": one, "b": one}, {"a": 7.0, "b": 0.1}
    )
    assert moved["w"].tolist() == [1.5]


@pytest.mark.parametrize("weights", [{}, {"a": 0.0}])
def test_no_weight_is_refused(weights):
    updates = {site: {"w": np.ones(1, np.float32)} for site in weights}
    with pytest.raises(ValueError, match="wait for a contribution"):
        strategies.get("fedavg").aggregate({"w": np.ones(1, np.float32)}, updates, weights)


def test_an_unknown_strategy_lists_the_known():
    with pytest.raises(UnknownStrategy, match="fedavg"):
        strategies.get("fedprox")


def iterates(*values):
    return [{"w": np.array([value], np.float32)} for value in values]


@pytest.mark.parametrize(
    ("values", "mean"),
    [((5,), 5), ((1, 2), 2), ((1, 2, 4), 3), ((1, 2, 3, 5), 4), (range(1, 16), 11.5)],
)
def test_the_last_half_is_averaged(values, mean):
    averaged = last_half(iterates(*values))["w"]
    assert averaged.tolist() == [mean]
    assert averaged.dtype == np.float32


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=20))
def test_the_window_is_all_that_is_needed(values):
    needed = window(len(values))
    whole = last_half(iterates(*values))["w"]
    mean = np.mean([v["w"] for v in iterates(*values)[-needed:]], axis=0)
    assert whole == pytest.approx(mean, abs=1e-5)


def test_nothing_to_average_is_refused():
    with pytest.raises(ValueError, match="after the first round"):
        last_half([])
