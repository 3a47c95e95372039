"""A number as the target: declared bounds scale it, and it is checked like every other column."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from federation.protocol import histograms, study_file
from federation.protocol.contract import (
    ContractError,
    Encoded,
    encode,
    outputs,
    target_shape,
)
from federation.protocol.document import DataContract, Protocol
from federation.protocol.encoding import text_array
from federation.protocol.study_errors import StudyFileError

TARGET = {"column": "ili", "kind": "number", "low": 0, "high": 20, "unit": "%"}


def contract(target: dict[str, Any] | None = None, **changes: Any) -> DataContract:
    document = {
        "columns": [{"name": "age", "low": 0, "high": 100}],
        "target": TARGET | (target or {}),
    }
    return DataContract.model_validate(document | changes)


def encoded(data: DataContract, *values: str) -> Encoded:
    columns = {"age": text_array(["50"] * len(values)), "ili": text_array(list(values))}
    return encode(columns, data, keyed_order=None)


def protocol(**sections: Any) -> Protocol:
    steps = {"sample_rate": 0.5, "local_steps": 2, "learning_rate": 1, "max_grad_norm": 1}
    document = {
        "name": "flu",
        "data": contract().model_dump(mode="json"),
        "model": {"architecture": "logistic"},
        "training": steps | sections.pop("training", {}),
        "privacy": {"noise_multiplier": 2, "target_delta": 1e-3},
        "rounds": {"count": 2},
    }
    return Protocol.model_validate(document | sections)


WEEKLY: dict[str, Any] = {
    "columns": [{"name": "ili", "low": 0, "high": 20}],
    "unit": "patient",
    "patient_column": "region",
    "max_rows_per_patient": 100,
}


def weekly(count: int) -> dict[str, Any]:
    """One region's weeks; week n has the value 2n."""
    return {
        "region": text_array(["r"] * count),
        "week": text_array([str(n) for n in range(count)]),
        "ili": text_array([str(2 * n) for n in range(count)]),
    }


def test_bounds_become_minus_one_and_one() -> None:
    found = encoded(contract(), "0", "10", "20", "5")
    assert found.targets.dtype == np.float32
    assert found.targets.tolist() == [-1, 0, 1, -0.5]
    assert outputs(contract()) == 1


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("20.5", "out of bounds"),
        ("NA", "missing target"),
        ("high", "not a number"),
        ("1e999", "not finite"),
    ],
)
def test_what_does_not_fit_is_refused_without_its_value(value: str, says: str) -> None:
    with pytest.raises(ContractError, match=f"column 'ili': {says}") as caught:
        encoded(contract(), "1", value)
    assert value not in str(caught.value)


def test_out_of_bounds_is_clipped_and_no_outcome_dropped_where_declared() -> None:
    declared = contract({"outside": "clip", "missing": "drop"})
    assert encoded(declared, "99", "NA", "-3").targets.tolist() == [1, -1]


def test_a_forecast_is_the_value_some_rows_later() -> None:
    weeks = contract(**WEEKLY, windows={"length": 2, "horizon": 2, "order": ["week"]})
    found = encode(weekly(6), weeks, keyed_order=None)
    order = np.argsort(found.features[:, 0])
    assert ((found.features[order] + 1) * 10).round(3).tolist() == [[0, 2], [2, 4], [4, 6]]
    assert ((found.targets[order] + 1) * 10).round(3).tolist() == [6, 8, 10]


def test_several_rows_ahead_are_one_target() -> None:
    windows = {"length": 2, "horizon": 1, "ahead": 3, "order": ["week"]}
    weeks = contract(**WEEKLY, windows=windows)
    found = encode(weekly(7), weeks, keyed_order=None)
    order = np.argsort(found.features[:, 0])
    assert found.targets.dtype == np.float32
    assert ((found.targets[order] + 1) * 10).round(3).tolist() == [
        [4, 6, 8],
        [6, 8, 10],
        [8, 10, 12],
    ]
    assert (outputs(weeks), target_shape(weeks)) == (3, (3,))
    assert encode(weekly(4), weeks, keyed_order=None).targets.shape == (0, 3)
    classes = {"column": "ili", "kind": "class", "classes": [["< 5"], [">= 5"]]}
    document = weeks.model_dump(mode="json") | {"target": classes}
    with pytest.raises(ValidationError, match=r"windows\.ahead above 1 is for a number"):
        DataContract.model_validate(document)


def test_a_window_without_ahead_keeps_its_digest() -> None:
    weeks = contract(**WEEKLY, windows={"length": 2, "horizon": 1, "order": ["week"]})
    assert "ahead" not in weeks.model_dump(mode="json")["windows"]


def test_bounds_are_needed_and_in_order() -> None:
    with pytest.raises(ValidationError, match="low must be below high"):
        contract({"low": 20})
    with pytest.raises(ValidationError, match="high"):
        DataContract.model_validate(
            {"columns": [{"name": "age", "low": 0, "high": 1}], "target": TARGET | {"high": None}}
        )
    with pytest.raises(ValidationError):
        contract({"classes": [["0"], ["1"]]})


def test_older_documents_say_nothing_of_a_kind() -> None:
    target = {"column": "ili", "classes": [["0"], ["1"]]}
    columns = contract().model_dump()["columns"]
    data = DataContract.model_validate({"columns": columns, "target": target})
    assert "kind" not in data.model_dump(mode="json")["target"]
    assert contract().model_dump(mode="json")["target"]["kind"] == "number"


def test_what_belongs_to_classes_is_refused() -> None:
    with pytest.raises(ValidationError, match="the target is a number"):
        protocol(training={"class_weights": [1, 2]})
    adaptive = {"least_noise": 1, "most_noise": 9}
    with pytest.raises(ValidationError, match=r"privacy\.adaptive follows accuracy or AUC"):
        protocol(
            privacy={"target_epsilon": 1, "target_delta": 1e-3, "adaptive": adaptive},
            evaluation={"every": 1, "holdout": 0.2, "noise_multiplier": 5},
        )


def test_a_study_file_gives_it_back() -> None:
    text = study_file.write(protocol())
    assert 'kind = "number"' in text
    found = study_file.parse(text + '\n[[institution]]\nname = "A"\ncohort_size = 10\n')
    assert found.protocol.data == protocol().data


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "number"\nunit = "%"', 'kind = "rank"', "must be 'class' or 'number', not 'rank'"),
        ("high = 20.0", "", "data.target.high: missing"),
        ("high = 20.0", "hihg = 20.0", "did you mean 'high'"),
        ("high = 20.0", "high = -1.0", "low must be below high"),
    ],
)
def test_a_mistake_in_a_study_file_names_its_key(old: str, new: str, says: str) -> None:
    head, target = study_file.write(protocol()).split("[data.target]")
    assert old in target
    with pytest.raises(StudyFileError, match=r"data\.target") as caught:
        study_file.parse(f"{head}[data.target]{target.replace(old, new, 1)}")
    assert says in str(caught.value)


def test_its_histogram_has_two_sides_whatever_the_number() -> None:
    evaluation = {"every": 1, "holdout": 0.2, "bins": 12, "noise_multiplier": 5}
    assert histograms.shape(protocol(evaluation=evaluation)) == (12, 2)
    edges = histograms.error_edges(10)
    assert (edges[0], edges[-1]) == (0, 1)
    assert edges[1] == pytest.approx(0.01)
    found = histograms.error_bin(np.array([0, 0.0099, 0.0101, 0.9, 1.0, 7.0]), 10)
    assert found.tolist() == [0, 0, 1, 9, 9, 9]
