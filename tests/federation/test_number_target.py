"""A study of a number: its errors from the sites' histograms, in the card, the chart, the page."""

import numpy as np
import pytest

from federation import charts
from federation.learning.metrics import from_errors
from federation.model_card import model_card
from federation.selectors import models
from tests.federation.conftest import advance

TARGET = {"column": "ili", "kind": "number", "low": 0, "high": 20, "unit": "%"}
COUNTS = np.array([[60, 50], [20, 10], [4, 6]], np.float32)


@pytest.fixture
def finished(start, sites):
    return played(start, sites, COUNTS)


def played(start, sites, counts):
    data = {
        "columns": [
            {"name": "age", "low": 20, "high": 90},
            {"name": "bp", "low": 60, "high": 220},
        ],
        "target": TARGET,
    }
    study = advance(start(data=data))
    for _ in range(3):  # train, train, evaluate
        for site in sites.values():
            task = site.take()
            evaluates = task.phase == "evaluate"
            assert site.contribute(task, {"histogram": counts} if evaluates else None)
        advance(study)
    assert study.status == "completed"
    return study


def test_errors_come_from_the_sum_of_the_histograms(finished):
    (row,) = models.utility(finished)
    expected = from_errors(3 * COUNTS, 20.0)
    assert {name: row.sites[name] for name in expected} == expected
    assert row.sites["mae"] > 1
    assert "accuracy" not in row.sites


def test_a_total_that_the_noise_explains_tells_no_error(start, sites):
    """Two deviations of the sum over all cells, of the noise that the page names."""
    few = np.array([[1, 0], [0, 0], [0, 0.5]], np.float32)
    (row,) = models.utility(played(start, sites, few))
    assert from_errors(3 * few, 20.0)["mae"] is not None
    assert few.sum() * 3 < 2 * row.sites["noise_standard_deviation"] * few.size**0.5
    assert row.sites["mae"] is row.sites["rmse"] is row.sites["bias"] is None


def test_card_and_chart_say_errors(finished):
    (row,) = models.utility(finished)
    card = model_card(finished, row)
    assert "Target: ili, a number from 0 to 20 %" in card
    assert f"| mean absolute error | {row.sites['mae']:.3f} |" in card
    assert "- Architecture: Logistic regression; Cox 1958" in card
    figure = charts.utility([row])
    assert [line["name"] for line in figure["data"]] == [
        "Mean absolute error",
        "Root mean square error",
    ]
    assert figure["data"][0]["y"] == [row.sites["mae"]]
    assert figure["layout"]["yaxis"] == {"rangemode": "tozero"}
