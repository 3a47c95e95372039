"""A numeric code for "no value" means the same in a CSV file, Parquet, npz and a database."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.cells import Coded
from federation.protocol.encoding import is_missing, text_array
from federation.site.config import Dataset
from tests.site.sourcing import contract, lent, read

Maker = Callable[[Path, list[float]], Dataset]


def in_csv(folder: Path, x: list[float]) -> Dataset:
    (folder / "rows.csv").write_text("x,num\n" + "".join(f"{value},0\n" for value in x))
    return lent(folder / "rows.csv")


def in_parquet(folder: Path, x: list[float]) -> Dataset:
    pq.write_table(pa.table({"x": x, "num": [0] * len(x)}), folder / "rows.parquet")
    return lent(folder / "rows.parquet")


def in_npz(folder: Path, x: list[float]) -> Dataset:
    np.savez(folder / "rows.npz", x=np.array(x), num=np.zeros(len(x), int))
    return lent(folder / "rows.npz")


def in_database(folder: Path, x: list[float]) -> Dataset:
    path = folder / "rows.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE visits (x real, num int)")
        database.executemany("INSERT INTO visits VALUES (?, 0)", [(value,) for value in x])
        database.commit()
    query = "SELECT x, num FROM visits"
    return lent({"kind": "sql", "url": f"sqlite:///{path}", "query": query})


MAKERS = [in_csv, in_parquet, in_npz, in_database]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("code", ["-9", "-9.0", "-9e0"])
def test_a_number(tmp_path: Path, make: Maker, code: str) -> None:
    """-9.0 is a missing value, not one that is clipped to the lower bound."""
    column = {"name": "x", "low": 0, "high": 10, "outside": "clip", "missing": "indicator"}
    agreed = contract(columns=[column], missing_values=[code])
    found = read(make(tmp_path, [-9.0, 5.0, -8.0]), agreed)
    assert found.features.tolist() == [[0, 1], [0, 0], [-1, 0]]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("code", ["9", "9.0"])
def test_a_category(tmp_path: Path, make: Maker, code: str) -> None:
    column: dict[str, Any] = {"name": "x", "kind": "category", "categories": [1, 2]}
    column |= {"missing": "category", "outside": "ignore"}
    agreed = contract(columns=[column], missing_values=[code])
    found = read(make(tmp_path, [9.0, 1.0, 3.0]), agreed)
    assert found.features.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("make", MAKERS)
def test_a_declared_category_is_no_missing_value(tmp_path: Path, make: Maker) -> None:
    column = {"name": "x", "kind": "category", "categories": [1, 9], "missing": "category"}
    agreed = contract(columns=[column], missing_values=["9"])
    assert read(make(tmp_path, [9.0, 1.0]), agreed).features.tolist() == [[0, 1, 0], [1, 0, 0]]


CELLS = st.sampled_from(["", "9", "9.0", "+9", "09", "-9", "9a", "nan", "NaN", "x", "1_0", "10"])


@given(st.lists(CELLS, min_size=1), st.lists(CELLS), st.lists(CELLS, unique=True))
def test_texts_are_judged_alike_however_they_are_held(
    cells: list[str], tokens: list[str], declared: list[str]
) -> None:
    texts = sorted(set(cells))
    held = Coded(texts, np.array([texts.index(cell) for cell in cells], dtype=np.int64))
    found = is_missing(text_array(cells), tokens, declared)
    assert found.tolist() == is_missing(held, tokens, declared).tolist()
    for cell, missing in zip(cells, found.tolist(), strict=True):
        assert not (missing and cell in declared)
        assert missing or cell not in tokens or cell in declared
