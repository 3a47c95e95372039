"""The utility chart holds exactly the measured numbers."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import charts


@dataclass
class Model:
    number: int
    metrics: dict[str, Any] = field(default_factory=dict)


def test_it_draws_accuracy_and_auc_by_round():
    figure = charts.utility(
        [Model(0, {"accuracy": 0.5, "auc": None}), Model(3, {"accuracy": 0.8, "auc": 0.9})]
    )
    accuracy, auc = figure["data"]
    assert (accuracy["x"], accuracy["y"]) == ([0, 3], [0.5, 0.8])
    assert (auc["x"], auc["y"]) == ([0, 3], [None, 0.9])
    assert not auc["connectgaps"]


def test_lines_differ_in_more_than_colour():
    first, second = charts.utility([Model(1)])["data"]
    assert first["line"]["dash"] != second["line"]["dash"]
    assert first["marker"]["symbol"] != second["marker"]["symbol"]


def test_the_scale_is_the_whole_one():
    assert charts.utility([Model(1)])["layout"]["yaxis"]["range"] == [0, 1.02]


@given(st.integers(1, 10_000))
def test_ticks_are_whole_and_few(last):
    step = charts.utility([Model(last)])["layout"]["xaxis"]["dtick"]
    assert isinstance(step, int)
    assert 1 <= last / step <= 10


@pytest.mark.parametrize("models", [[], [Model(0)]])
def test_little_is_no_error(models):
    assert charts.utility(models)["layout"]["xaxis"]["range"][1] > 0
