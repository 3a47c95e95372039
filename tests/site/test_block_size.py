"""No source makes blocks larger than what their rows become: a category is a thousand features."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from federation.site.config import Dataset
from federation.site.datasets import encoded_blocks
from federation.site.sources import BLOCK_NUMBERS
from tests.site.sourcing import SECRET, contract, lent, protocol

ROWS = 5000
CODES = [f"icd{place % 1000}" for place in range(ROWS)]


def in_csv(folder: Path, table: pa.Table) -> Dataset:
    pyarrow.csv.write_csv(table, folder / "codes.csv")
    return lent(folder / "codes.csv")


def in_parquet(folder: Path, table: pa.Table) -> Dataset:
    pq.write_table(table, folder / "codes.parquet")
    return lent(folder / "codes.parquet")


def in_database(folder: Path, table: pa.Table) -> Dataset:
    path = folder / "codes.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE visits (code, num)")
        database.executemany(
            "INSERT INTO visits VALUES (:code, :num)", table.select(["code", "num"]).to_pylist()
        )
        database.commit()
    query = "SELECT code, num FROM visits"
    return lent({"kind": "sql", "url": f"sqlite:///{path}", "query": query})


@pytest.mark.parametrize("make", [in_csv, in_parquet, in_database])
def test_a_block_is_as_small_as_its_encoded_rows_ask_for(
    tmp_path: Path, make: Callable[[Path, pa.Table], Dataset]
) -> None:
    column = {"name": "code", "kind": "category", "categories": CODES[:1000]}
    table = pa.table({"code": CODES, "num": [0] * ROWS})
    agreed = protocol(contract(columns=[column]))
    with closing(encoded_blocks(make(tmp_path, table), agreed, SECRET)) as blocks:
        sizes = [block.features.shape for block in blocks]
    assert sum(rows for rows, _ in sizes) == ROWS
    assert all(rows * width <= BLOCK_NUMBERS for rows, width in sizes)
