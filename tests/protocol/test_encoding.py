"""Encoding by public constants: known answers, rules for missing values, and every fault."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.contract import ContractError, Encoded, encode, names, outputs, width
from federation.protocol.document import DataContract
from federation.protocol.encoding import class_index, plain_number, text_array
from tests.protocol.samples import contract

ROWS = [("50", "250", "1", "0"), ("100.0", "?", "x", "2.0"), ("0", "", "NA", "1")]


def _columns(rows: list[tuple[str, ...]], header: str = "age chol cp num") -> dict[str, np.ndarray]:
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(header.split())
    return {name: text_array(c) for name, c in zip(header.split(), cells, strict=True)}


def _encode(rows: list[tuple[str, ...]], **changes: Any) -> Encoded:
    return encode(_columns(rows), contract(**changes), keyed_order=None)


def test_known_answer() -> None:
    encoded = _encode(ROWS)
    # age by its bounds; chol by centre and spread, then "missing"; cp 1, 2, x, missing.
    expected = [
        [0, 1, 0, 1, 0, 0, 0],
        [1, 0, 1, 0, 0, 1, 0],
        [-1, 0, 1, 0, 0, 0, 1],
    ]
    np.testing.assert_array_equal(encoded.features, np.array(expected, np.float32))
    assert encoded.features.dtype == np.float32
    assert encoded.targets.tolist() == [0, 1, 1]
    assert encoded.targets.dtype == encoded.units.dtype == np.int64
    assert (encoded.units.tolist(), encoded.n_units) == ([0, 1, 2], 3)


def test_width_names_and_outputs() -> None:
    expected = ["age", "chol", "chol missing", "cp = 1", "cp = 2", "cp = x", "cp missing"]
    assert names(contract()) == expected
    assert width(contract()) == 7
    assert outputs(contract()) == 1
    assert outputs(contract(target={"column": "num", "classes": [[0], [1], [2]]})) == 3


def test_a_number_can_stand_for_a_missing_one_and_rows_can_be_dropped() -> None:
    columns = [
        {"name": "age", "low": 0, "high": 100, "missing": "drop"},
        {"name": "chol", "low": 0, "high": 700, "missing": 350},
        {"name": "cp", "kind": "category", "categories": [1, 2], "missing": "drop"},
    ]
    rows = [("?", "1", "1", "0"), ("50", "?", "1", "1"), ("75", "700", "nan", "1")]
    encoded = _encode(rows, columns=columns)
    np.testing.assert_array_equal(encoded.features, np.array([[0, 0, 1, 0]], np.float32))
    assert encoded.targets.tolist() == [1]


def test_faults_of_dropped_rows_do_not_matter() -> None:
    columns = [
        {"name": "age", "low": 0, "high": 100, "missing": "drop"},
        {"name": "chol", "low": 0, "high": 700},
    ]
    assert _encode([("?", "9999", "1", "?"), ("50", "350", "", "1")], columns=columns).n_units == 1


def test_no_rows_encode_to_nothing() -> None:
    encoded = _encode([])
    assert encoded.features.shape == (0, 7)
    assert (encoded.targets.shape, encoded.n_units) == ((0,), 0)


def test_out_of_bounds_can_be_clipped_and_undeclared_ignored() -> None:
    columns = [
        {"name": "age", "low": 0, "high": 100, "outside": "clip"},
        {"name": "cp", "kind": "category", "categories": [1, 2], "outside": "ignore"},
    ]
    encoded = _encode([("-5", "", "9", "0"), ("1e300", "", "2", "0")], columns=columns)
    np.testing.assert_array_equal(encoded.features, [[-1, 0, 0], [1, 0, 1]])


def test_a_declared_category_is_a_value_even_when_it_reads_like_a_missing_one() -> None:
    columns = [{"name": "cp", "kind": "category", "categories": ["?", "NA"]}]
    target = {"column": "num", "classes": [["NA"], ["1"]]}
    encoded = _encode([("", "", "?", "NA")], columns=columns, target=target)
    assert encoded.features.tolist() == [[1, 0]]
    assert encoded.targets.tolist() == [0]


FAULTS = [
    ({}, ("fifty", "250", "1", "0"), "age", "not a number"),
    ({}, ("5,0", "250", "1", "0"), "age", "not a number"),
    ({}, ("5_0", "250", "1", "0"), "age", "not a number"),
    ({}, ("0x10", "250", "1", "0"), "age", "not a number"),
    ({}, ("inf", "250", "1", "0"), "age", "not finite"),
    ({}, ("-Infinity", "250", "1", "0"), "age", "not finite"),
    ({"missing_values": []}, ("nan", "250", "1", "0"), "age", "not finite"),
    ({"missing_values": []}, ("", "250", "1", "0"), "age", "not a number"),
    ({}, ("101", "250", "1", "0"), "age", "out of bounds"),
    ({}, ("-0.001", "250", "1", "0"), "age", "out of bounds"),
    ({}, ("", "250", "1", "0"), "age", "missing value"),
    ({}, ("50", "250", "3", "0"), "cp", "undeclared category"),
    ({}, ("50", "250", "X", "0"), "cp", "undeclared category"),
    ({}, ("50", "250", "1", "?"), "num", "missing target"),
    ({}, ("50", "250", "1", "7"), "num", "undeclared class"),
]


@pytest.mark.parametrize(("changes", "row", "column", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_each_fault_names_the_column_and_nothing_of_the_data(
    changes: dict[str, Any], row: tuple[str, ...], column: str, fault: str
) -> None:
    with pytest.raises(ContractError) as caught:
        _encode([*ROWS, row], **changes)
    error = caught.value
    assert (error.column, error.fault) == (column, fault)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert not any(character.isdigit() for character in str(error))
    assert not any(len(cell) > 3 and cell in str(error) for cell in row)


@pytest.mark.parametrize("outside", ["refuse", "clip"])
def test_infinity_is_never_clipped(outside: str) -> None:
    columns = [{"name": "age", "low": 0, "high": 100, "outside": outside}]
    with pytest.raises(ContractError, match="not finite"):
        _encode([("inf", "", "", "0")], columns=columns)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_features_stay_within_declared_bounds(value: float) -> None:
    columns = [{"name": "age", "low": -10, "high": 10, "outside": "clip"}]
    feature = _encode([(repr(value), "", "", "0")], columns=columns).features[0, 0]
    assert -1 <= feature <= 1


SAME = [
    *(("1", "1.0"), ("1", "+1"), ("1", "1e0"), ("1.0", "1"), ("01", "1"), ("0.5", ".50")),
    *(("E10", "E10"), ("1E5", "1E5"), ("-0", "0"), (" a ", "a")),
]


@pytest.mark.parametrize(("declared", "found"), SAME)
def test_numbers_are_compared_as_numbers(declared: str, found: str) -> None:
    assert class_index(text_array([found]), [["other"], [declared]]).tolist() == [1]


@pytest.mark.parametrize("found", ["1_0", "1,0", "10 0", "nan", "A"])
def test_other_text_is_compared_as_it_stands(found: str) -> None:
    assert class_index(text_array([found]), [["10"], ["a"]]).tolist() == [-1]


def test_an_ambiguous_number_means_nothing_but_exact_text_does() -> None:
    groups = [["1"], ["01"]]
    assert class_index(text_array(["1", "01", "1.0"]), groups).tolist() == [0, 1, -1]
    assert class_index(text_array([]), groups).tolist() == []


@given(st.integers(-(10**15), 10**15))
def test_plain_numbers_have_one_text(value: int) -> None:
    assert plain_number(f"{value}.0") == plain_number(str(value)) == str(value)


def test_categories_of_a_study_file_may_be_numbers() -> None:
    document = contract().model_dump(mode="json")
    assert DataContract.model_validate(document) == contract()
    assert contract().columns[2].model_dump()["categories"] == ["1", "2", "x"]


def test_rows_without_outcome_may_be_dropped() -> None:
    target = {"column": "num", "classes": [["0"], ["1", "2"]], "missing": "drop"}
    rows = [("50", "250", "1", "?"), ("60", "250", "1", "0")]
    assert _encode(rows, target=target).targets.tolist() == [0]
    assert "missing" not in contract().model_dump()["target"]  # older digests stay


@pytest.mark.parametrize("value", ["4711", "x"])
def test_an_array_column_takes_arrays_alone(value: str) -> None:
    column = {"name": "age", "kind": "array", "shape": [2], "low": 0, "high": 1}
    with pytest.raises(ContractError, match="column 'age': another shape") as caught:
        _encode([(value, "250", "1", "0")], columns=[column])
    assert value not in str(caught.value)
