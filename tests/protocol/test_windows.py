"""Windows over series: cut in time order, within one series, all of a patient's one unit."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from federation.protocol.cells import Columns, Numbers
from federation.protocol.contract import (
    ContractError,
    Encoded,
    encode,
    names,
    shape,
    width,
)
from federation.protocol.csv_file import needed_columns
from federation.protocol.document import DataContract
from federation.protocol.encoding import text_array
from tests.protocol.samples import SECRET, contract, patients, protocol


def series(cap: int = 100, **windows: Any) -> DataContract:
    """One number per week, in classes at most 50 and more; the region is the unit."""
    return DataContract.model_validate(
        {
            "unit": "patient",
            "patient_column": "region",
            "max_rows_per_patient": cap,
            "columns": [{"name": "x", "low": 0, "high": 100}],
            "target": {"column": "x", "classes": [["<= 50"], ["> 50"]]},
            "windows": {"length": 3, "horizon": 1, "order": ["year", "week"]} | windows,
        }
    )


def columns(rows: list[tuple[str, int, int, int]]) -> Columns:
    cells = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    parts = zip(("region", "year", "week", "x"), cells, strict=True)
    return {name: text_array([str(cell) for cell in values]) for name, values in parts}


WEEKS = [("r", 2024, 52, 10), ("r", 2025, 2, 30), ("r", 2025, 1, 60), ("r", 2025, 10, 40)]


def values(found: Encoded) -> list[list[float]]:
    return [[round(v) for v in row] for row in ((found.features + 1) * 50).tolist()]


def test_a_window_is_sorted_by_the_declared_order() -> None:
    found = encode(columns(WEEKS), series(), keyed_order=SECRET)
    assert values(found) == [[10, 60, 30]]
    assert found.targets.tolist() == [0]  # week 10 has 40
    assert found.n_units == 1
    ahead = encode(columns(WEEKS), series(length=1, horizon=1), keyed_order=SECRET)
    assert sorted(zip(values(ahead), ahead.targets.tolist(), strict=True)) == [
        ([10], 1),
        ([30], 0),
        ([60], 0),
    ]


def test_length_horizon_and_step_are_as_declared() -> None:
    rows = [("r", 1, week, week) for week in range(20)]
    found = encode(columns(rows), series(length=4, horizon=3, step=5), keyed_order=SECRET)
    assert sorted(values(found)) == [[0, 1, 2, 3], [5, 6, 7, 8], [10, 11, 12, 13]]
    one = encode(columns(rows), series(length=14, horizon=6), keyed_order=SECRET)
    assert values(one) == [list(range(14))]
    none = encode(columns(rows), series(length=15, horizon=6), keyed_order=SECRET)
    assert (none.features.shape, none.n_units) == ((0, 15), 0)


def test_the_last_row_may_be_its_own_class() -> None:
    with pytest.raises(ValidationError, match="also declared as a feature"):
        series(horizon=0)
    columns_ = [{"name": "y", "low": 0, "high": 100}]
    data = series().model_dump(mode="json", exclude_none=True)
    data["columns"], data["windows"]["horizon"] = columns_, 0
    rows = columns([("r", 1, week, 100 * (week == 2)) for week in range(3)])
    rows["y"] = rows["x"]
    found = encode(rows, DataContract.model_validate(data), keyed_order=SECRET)
    assert found.targets.tolist() == [1]


ROW = st.tuples(st.sampled_from("abc"), st.integers(1, 2), st.integers(1, 9), st.integers(0, 100))
ROWS = st.lists(ROW, min_size=1, max_size=40, unique_by=lambda row: row[:3])


def bag(found: Encoded) -> Counter[Any]:
    units: dict[int, list[Any]] = {}
    for unit, row in zip(found.units.tolist(), found.features.tolist(), strict=True):
        units.setdefault(unit, []).append(tuple(row))
    return Counter(tuple(sorted(rows)) for rows in units.values())


@given(ROWS, st.integers(1, 4), st.data())
def test_a_removed_series_changes_no_other_unit(
    rows: list[tuple[str, int, int, int]], cap: int, data: st.DataObject
) -> None:
    """What the accounting assumes: overlapping windows hold one patient's rows and no other's."""
    gone = data.draw(st.sampled_from(sorted({row[0] for row in rows})))
    agreed = series(cap, length=2, horizon=1)

    def of(chosen: list[tuple[str, int, int, int]]) -> Counter[Any]:
        return bag(encode(columns(chosen), agreed, keyed_order=SECRET))

    rest = [row for row in rows if row[0] != gone]
    alone = [row for row in rows if row[0] == gone]
    assert of(rows) == of(rest) + of(alone)
    assert all(len(unit) <= cap for unit in of(rows))


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_file_does_not_matter(rows: list[Any], random: Any) -> None:
    agreed = series(2, length=2)
    shuffled = random.sample(rows, len(rows))
    first, second = (encode(columns(r), agreed, keyed_order=SECRET) for r in (rows, shuffled))
    assert bag(first) == bag(second)


def test_a_patient_with_two_series_is_one_unit_and_windows_do_not_cross() -> None:
    agreed = series(length=2, series_column="year", order=["week"])
    rows = [("r", year, week, 10 * year + week) for year in (1, 2) for week in range(3)]
    found = encode(columns(rows), agreed, keyed_order=SECRET)
    assert sorted(values(found)) == [[10, 11], [20, 21]]
    assert found.units.tolist() == [0, 0]


def test_two_patients_with_series_of_one_name_do_not_mix() -> None:
    agreed = series(length=2, series_column="year", order=["week"])
    rows = [(region, 1, week, week) for region in "ab" for week in range(3)]
    assert encode(columns(rows), agreed, keyed_order=SECRET).n_units == 2


def test_two_rows_at_one_time_are_refused() -> None:
    with pytest.raises(ContractError, match="column 'week': two rows at one time") as caught:
        encode(columns([*WEEKS, ("r", 2025, 2, 77)]), series(), keyed_order=SECRET)
    assert not any(word in str(caught.value) for word in ("2025", "77"))


def test_dates_sort_rows_and_what_is_no_time_is_refused() -> None:
    agreed = series(length=1, horizon=1, order=["week"])
    rows = columns([("r", 1, 1, 5), ("r", 1, 2, 60), ("r", 1, 3, 70)])
    for week in (
        ["2026-01-10", "2026-01-09", "2026-01-31T12:00:00"],
        ["2026-01-10T00:00:00Z", "2026-01-10T00:30:00+01:00", "2026-01-11"],
    ):
        found = encode(rows | {"week": text_array(week)}, agreed, keyed_order=SECRET)
        assert sorted(values(found)) == [[5], [60]]
    for wrong in ("soon", "1_0", "", "nan", "2026-13-01"):
        bad = rows | {"week": text_array(["1", "2", wrong])}
        with pytest.raises(ContractError, match="column 'week': not a time") as caught:
            encode(bad, agreed, keyed_order=SECRET)
        assert caught.value.__cause__ is None
    # As numbers the first would come long after the others.
    mixed = rows | {"week": text_array(["20260109", "2026-01-10", "2026-01-11"])}
    with pytest.raises(ContractError, match="column 'week': not a time"):
        encode(mixed, agreed, keyed_order=SECRET)
    numbers = Numbers(np.array([1.0, 2.0, 3.0]), np.array([False, False, True]))
    with pytest.raises(ContractError, match="not a time"):
        encode(rows | {"week": numbers}, agreed, keyed_order=SECRET)


def test_overlapping_windows_need_a_patient() -> None:
    data = series().model_dump(mode="json", exclude_none=True)
    data |= {"unit": "row", "patient_column": None, "max_rows_per_patient": None}
    with pytest.raises(ValidationError, match="whose series it is must be the unit"):
        DataContract.model_validate(data)


def test_the_shape_of_what_a_model_gets() -> None:
    assert shape(contract()) is None
    agreed = series(length=24)
    assert (shape(agreed), width(agreed), names(agreed)[:2]) == (
        (24, 1),
        24,
        ["x (row 1)", "x (row 2)"],
    )
    image = {"name": "image", "kind": "array", "shape": [3, 8, 9]}
    pictures = contract(columns=[image])
    assert (shape(pictures), width(pictures)) == ((3, 8, 9), 216)
    assert names(pictures)[-1] == "image [2, 7, 8]"
    assert shape(contract(columns=[image, {"name": "age", "low": 0, "high": 1}])) is None


def test_older_protocols_keep_their_digest() -> None:
    """Known answer of the first release: what is not used stands in no document."""
    assert "windows" not in protocol().canonical().decode()
    assert needed_columns(patients(3)) == ["age", "chol", "cp", "who", "num"]
    assert needed_columns(series()) == ["x", "region", "year", "week"]


@pytest.mark.parametrize(
    ("text", "place"), [("1", 0), ("2.5", 1), ("-7", 0), ("9", 1), ("other", 2), ("2.4999", 0)]
)
def test_classes_may_be_ranges(text: str, place: int) -> None:
    target = {"column": "num", "classes": [["< 2.5"], [">= 2.5"], ["other"]]}
    rows = {name: text_array(["1"]) for name in ("age", "chol", "cp")} | {"num": text_array([text])}
    assert encode(rows, contract(target=target), keyed_order=None).targets.tolist() == [place]


@pytest.mark.parametrize("text", ["inf", "1_0", "x", "< 2"])
def test_what_lies_in_no_range_is_undeclared(text: str) -> None:
    target = {"column": "num", "classes": [["< 2.5"], [">= 2.5"]]}
    rows = {name: text_array(["1"]) for name in ("age", "chol", "cp")} | {"num": text_array([text])}
    with pytest.raises(ContractError, match="undeclared class"):
        encode(rows, contract(target=target), keyed_order=None)
