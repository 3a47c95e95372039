"""Identifiers and codes of more than 53 bits stay apart, from every source as from a CSV file."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.cells import number_text
from federation.protocol.encoding import plain_number
from federation.site.config import Dataset
from tests.site.sourcing import contract, lent, patients, read

AGE: dict[str, Any] = {"columns": [{"name": "age", "low": 0, "high": 100}]}
FIRST = 2**60
LONG = [FIRST, FIRST + 1, FIRST + 2]
TABLE: dict[str, Any] = {"age": [50, 60, 70], "num": [0, 1, 0]}


def csv(folder: Path, who: list[int]) -> Dataset:
    rows = zip(who, TABLE["age"], TABLE["num"], strict=True)
    text = "".join(f"{who},{age},{num}\n" for who, age, num in rows)
    (folder / "rows.csv").write_text("who,age,num\n" + text)
    return lent(folder / "rows.csv")


def in_parquet(kind: pa.DataType) -> Callable[[Path], Dataset]:
    def write(folder: Path) -> Dataset:
        who: list[Any] = [Decimal(w) for w in LONG] if pa.types.is_decimal(kind) else list(LONG)
        pq.write_table(pa.table(TABLE | {"who": pa.array(who, kind)}), folder / "rows.parquet")
        return lent(folder / "rows.parquet")

    return write


def in_npz(kind: str) -> Callable[[Path], Dataset]:
    def write(folder: Path) -> Dataset:
        np.savez(folder / "rows.npz", **(TABLE | {"who": np.array(LONG, kind)}))
        return lent(folder / "rows.npz")

    return write


@pytest.mark.parametrize(
    "make",
    [
        in_parquet(pa.int64()),
        in_parquet(pa.decimal128(30, 0)),
        in_parquet(pa.decimal128(30, 2)),
        in_parquet(pa.decimal256(60, 1)),
        in_npz("<i8"),
        in_npz(">u8"),
    ],
)
def test_neighbours_are_two_patients(tmp_path: Path, make: Callable[[Path], Dataset]) -> None:
    found = read(make(tmp_path), patients(**AGE)).units
    assert found is not None
    assert len(set(found.tolist())) == 3
    assert (found == read(csv(tmp_path, LONG), patients(**AGE)).units).all()


@pytest.mark.parametrize("make", [in_parquet(pa.decimal128(30, 0)), in_npz("<i8")])
def test_neighbours_are_two_categories(tmp_path: Path, make: Callable[[Path], Dataset]) -> None:
    codes = {"name": "who", "kind": "category", "categories": LONG[:2], "outside": "ignore"}
    expected = [[1, 0], [0, 1], [0, 0]]
    assert read(make(tmp_path), contract(columns=[codes])).features.tolist() == expected
    assert read(csv(tmp_path, LONG), contract(columns=[codes])).features.tolist() == expected


@given(st.integers(-(10**25), 10**25), st.integers(0, 20))
def test_a_whole_number_is_written_with_every_digit(value: int, places: int) -> None:
    decimal = Decimal(f"{value}.{'0' * places}" if places else str(value))
    assert number_text(value) == number_text(decimal) == str(value)
    assert plain_number(f"{value}.{'0' * places}") == plain_number(f"{value:+d}") == str(value)


def test_decimals_are_written_as_floats_are() -> None:
    assert [number_text(Decimal(text)) for text in ("0.50", "-1.250", "0E+3", "-0.0", "1E+2")] == [
        "0.5",
        "-1.25",
        "0",
        "0",
        "100",
    ]
    assert number_text(Decimal("NaN")) == "nan"
