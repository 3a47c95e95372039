"""A folder of Parquet parts is one table; what would be passed over in it is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federation.protocol.contract import ContractError
from federation.site.config import Dataset
from tests.site import sourcing
from tests.site.sourcing import contract, lent, read


def parts(folder: Path) -> Dataset:
    """The table in two parts and an empty one, as Spark and Dask write them."""
    (folder / "visits").mkdir()
    rows = sourcing.table()
    for place, part in enumerate((rows.slice(0, 2), rows.slice(2), rows.slice(0, 0))):
        pq.write_table(part, folder / "visits" / f"part-{place}.snappy.parquet")
    (folder / "visits" / "_SUCCESS").touch()
    return lent(Path("visits")).within(folder)


def test_parts_are_read_as_one_table(tmp_path: Path) -> None:
    found = parts(tmp_path)
    assert found.kind == "parquet"
    whole = read(sourcing.parquet_file(tmp_path), contract())
    assert np.array_equal(read(found, contract()).features, whole.features)


def test_the_version_changes_with_every_part(tmp_path: Path) -> None:
    found = parts(tmp_path)
    before = found.version()
    assert found.version() == before
    pq.write_table(sourcing.table(), tmp_path / "visits" / "part-9.parquet")
    assert found.version() != before


@pytest.mark.parametrize(
    "add", [lambda f: (f / "year=2026").mkdir(), lambda f: (f / "more.csv").touch()]
)
def test_what_would_be_passed_over_is_refused(
    tmp_path: Path, add: Callable[[Path], object]
) -> None:
    found = parts(tmp_path)
    add(tmp_path / "visits")
    with pytest.raises(ContractError, match="a folder with more than Parquet parts"):
        read(found, contract())


def test_only_empty_parts_are_empty(tmp_path: Path) -> None:
    found = parts(tmp_path)
    for name in ("part-0.snappy.parquet", "part-1.snappy.parquet"):
        pq.write_table(sourcing.table().slice(0, 0), tmp_path / "visits" / name)
    with pytest.raises(ContractError, match="empty"):
        read(found, contract())


def test_a_folder_of_folders_is_told_how_a_table_would_lie(tmp_path: Path) -> None:
    (tmp_path / "visits" / "year=2026").mkdir(parents=True)
    with pytest.raises(ContractError, match=r"only where \.parquet files lie right in it"):
        read(lent(Path("visits")).within(tmp_path), contract())


def test_a_column_of_two_types_is_refused(tmp_path: Path) -> None:
    """2⁵³ + 1 is another text as a float: one patient would be two."""
    found = parts(tmp_path)
    table = sourcing.table()
    place = table.schema.get_field_index("age")
    other = pa.int16() if pa.types.is_floating(table.schema.field("age").type) else pa.float64()
    table = table.set_column(place, "age", table.column("age").cast(other, safe=False))
    pq.write_table(table, tmp_path / "visits" / "part-9.parquet")
    with pytest.raises(ContractError, match=r"age.*different types in different parts"):
        read(found, contract())
