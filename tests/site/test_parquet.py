"""Parquet: all its types are either read as meant or refused, and a broken file says no value."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.protocol.contract import ContractError
from federation.site.sources import parquet, rows_per_block
from tests.site import sourcing
from tests.site.sourcing import contract, images, parquet_file, read

ONE = {"columns": [{"name": "x", "low": -10, "high": 10}]}
CATEGORY = {"columns": [{"name": "x", "kind": "category", "categories": [0, 1, "2020-01-31"]}]}


def _table(x: pa.Array) -> pa.Table:
    return pa.table({"x": x, "num": pa.array([1] * len(x), pa.int8())})


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(9, 2)],
)
def test_numbers_of_every_type_are_numbers(tmp_path: Path, kind: pa.DataType) -> None:
    values: list[Any] = [5, 0, 10]
    if pa.types.is_decimal(kind):
        values = [Decimal(value) for value in values]
    if pa.types.is_float16(kind):
        values = [np.float16(value) for value in values]
    found = read(parquet_file(tmp_path, _table(pa.array(values, kind))), contract(**ONE))
    assert found.features[:, 0].tolist() == [0.5, 0.0, 1.0]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([True, False]),
        pa.array([1.0, 0.0]),
        pa.array([" 1", "0.0"]),
        pa.array([1, 0], pa.int32()).dictionary_encode(),
        pa.array([Decimal("1.00"), Decimal("0.00")]),
        pa.array(["1", "0"], pa.large_string()),
        pa.array(["1", "0"], pa.string_view()),
    ],
)
def test_categories_of_every_type_are_matched_as_text_or_number(
    tmp_path: Path, array: pa.Array
) -> None:
    found = read(parquet_file(tmp_path, _table(array)), contract(**CATEGORY))
    assert found.features.tolist() == [[0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("array", "fault"),
    [
        (pa.array([b"1"]), "wrong type"),
        (pa.array([timedelta(microseconds=5)]), "wrong type"),
        (pa.array([{"a": 1}]), "wrong type"),
        (pa.array([[1.0]]), "wrong type"),
        (pa.array([datetime(2020, 1, 1, tzinfo=UTC)]), "not a number"),
        (pa.array(["4711 canary"]), "not a number"),
        (pa.array([float("inf")]), "not finite"),
        (pa.array([11.0]), "out of bounds"),
        (pa.array([None], pa.float64()), "missing value"),
        (pa.array([None], pa.null()), "missing value"),
        (pa.array([float("nan")]), "missing value"),
    ],
)
def test_what_is_no_number_is_refused(tmp_path: Path, array: pa.Array, fault: str) -> None:
    with pytest.raises(ContractError, match=f"column 'x': {fault}") as caught:
        read(parquet_file(tmp_path, _table(array)), contract(**ONE))
    assert not any(word in str(caught.value) for word in ("4711", "canary", "11.0"))


def test_nan_is_not_finite_where_it_is_not_declared_as_missing(tmp_path: Path) -> None:
    dataset = parquet_file(tmp_path, _table(pa.array([float("nan")])))
    with pytest.raises(ContractError, match="column 'x': not finite"):
        read(dataset, contract(**ONE, missing_values=["?"]))


def test_a_number_may_stand_for_a_missing_value(tmp_path: Path) -> None:
    column = {"name": "x", "low": -10, "high": 10, "missing": 5}
    dataset = parquet_file(tmp_path, _table(pa.array([-9, 1])))
    found = read(dataset, contract(columns=[column], missing_values=["-9"]))
    assert found.features[:, 0].tolist() == [0.5, np.float32(0.1)]


def test_a_file_that_was_not_copied_whole_is_refused(tmp_path: Path) -> None:
    dataset = parquet_file(tmp_path, _table(pa.array(np.linspace(-1, 1, 5000))))
    path = tmp_path / "heart.parquet"
    whole = path.read_bytes()
    for broken in (whole[:-100], whole[:10], b"", whole[: len(whole) // 2] + whole[-200:]):
        path.write_bytes(broken)
        with pytest.raises(ContractError, match="no readable Parquet file") as caught:
            read(dataset, contract(**ONE))
        assert caught.value.__cause__ is None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(4, 3000), byte=st.integers(0, 255))
def test_any_broken_byte_is_refused_or_harmless(tmp_path: Path, place: int, byte: int) -> None:
    """Whatever pyarrow makes of it, nothing but a ContractError comes out."""
    dataset = parquet_file(tmp_path, _table(pa.array(np.linspace(-1, 1, 500))))
    path = tmp_path / "heart.parquet"
    data = bytearray(path.read_bytes())
    data[place % len(data)] = byte
    path.write_bytes(data)
    try:
        read(dataset, contract(**ONE))
    except ContractError as error:
        assert str(tmp_path) not in str(error)  # noqa: PT017


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="empty"):
        read(parquet_file(tmp_path, _table(pa.array([], pa.float64()))), contract(**ONE))


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([1]), pa.array([1])], names=["x", "num", "x"])
    with pytest.raises(ContractError, match="column 'x': duplicate column"):
        read(parquet_file(tmp_path, table), contract(**ONE))


def test_arrays_have_the_declared_length(tmp_path: Path) -> None:
    agreed = images([1, 2, 2])
    pixels = [[0, 255, 51, 204], [1, 2, 3, 4]]
    for kind in (pa.list_(pa.uint8()), pa.list_(pa.float32(), 4), pa.large_list(pa.int16())):
        rows = pa.table({"image": pa.array(pixels, kind), "label": ["ill", "well"]})
        found = read(parquet_file(tmp_path, rows), agreed)
        assert found.features[0].tolist() == pytest.approx([-1, 1, -0.6, 0.6])
    for wrong in (
        [[1, 2, 3], [1, 2, 3]],
        [[1, 2, 3, 4], [1]],
        [[1, 2, 3, 4], None],
        [[None] * 4] * 2,
    ):
        rows = pa.table({"image": pa.array(wrong, pa.list_(pa.int64())), "label": ["ill", "well"]})
        with pytest.raises(ContractError, match="column 'image': another shape"):
            read(parquet_file(tmp_path, rows), agreed)


def test_blocks_are_bounded_whatever_the_row_groups(tmp_path: Path) -> None:
    rows = _table(pa.array(np.linspace(-1, 1, 200_000)))
    dataset = parquet_file(tmp_path, rows, row_group_size=200_000)
    sizes = [len(block["x"]) for block in dataset.blocks(contract(**ONE))]
    assert sum(sizes) == 200_000
    assert max(sizes) <= 65_536
    assert rows_per_block(10**9) == 1
    assert parquet.SOURCE.version(dataset.settings()) == dataset.version()


def test_the_version_changes_with_the_file(tmp_path: Path) -> None:
    dataset = sourcing.parquet_file(tmp_path)
    before = dataset.version()
    assert dataset.version() == before
    sourcing.parquet_file(tmp_path)
    assert dataset.version() != before
