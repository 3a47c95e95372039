"""Every source gives the same rows, and says what does not fit in our own words alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from federation.protocol.contract import ContractError
from federation.site import sources
from federation.site.config import Dataset
from tests.site import sourcing
from tests.site.sourcing import contract, patients, read

Maker = Callable[[Path], Dataset]
TABLES = [sourcing.csv_file, sourcing.parquet_file, sourcing.sqlite_file]
FEATURES = [
    [0.26, 0.66, 0, 1, 0, 0, 0],
    [-0.17, 0, 1, 0, 0, 1, 0],
    [-1, 1, 0, 0, 1, 0, 0],
    [1, 0, 1, 0, 0, 0, 1],
    [0.545, 10, 0, 1, 0, 0, 0],
]


@pytest.mark.parametrize("make", TABLES)
def test_tables_are_read_alike(tmp_path: Path, make: Maker) -> None:
    found = read(make(tmp_path), contract())
    assert np.allclose(found.features, FEATURES, atol=1e-6)
    assert found.features.dtype == np.float32
    assert found.targets.tolist() == [0, 1, 1, 0, 1]


def test_a_patient_is_held_out_whatever_the_source(tmp_path: Path) -> None:
    """Who turns a CSV file into Parquet must not train on those who were held out."""
    found = [read(make(tmp_path), patients(), holdout=0.5) for make in TABLES]
    assert found[0].held.any()
    assert not found[0].held.all()
    for other in found[1:]:
        assert (found[0].held == other.held).all()
        assert found[0].units is not None
        assert (found[0].units == other.units).all()


@pytest.mark.parametrize("make", TABLES)
def test_an_absent_column_is_named(tmp_path: Path, make: Maker) -> None:
    column = {"name": "weight", "low": 0, "high": 300}
    with pytest.raises(ContractError, match="column 'weight': missing column"):
        read(make(tmp_path), contract(columns=[column]))


@pytest.mark.parametrize("make", TABLES)
@pytest.mark.parametrize(
    ("column", "fault"),
    [
        ({"name": "age", "low": 0, "high": 99}, "column 'age': out of bounds"),
        ({"name": "chol", "low": 0, "high": 700}, "column 'chol': missing value"),
        ({"name": "who", "low": 0, "high": 1}, "column 'who': not a number"),
        (
            {"name": "cp", "kind": "category", "categories": [1, 2], "missing": "category"},
            "column 'cp': undeclared category",
        ),
    ],
)
def test_a_misfit_is_told_by_column_and_kind(
    tmp_path: Path, make: Maker, column: dict[str, object], fault: str
) -> None:
    with pytest.raises(ContractError, match=fault) as caught:
        read(make(tmp_path), contract(columns=[column]))
    assert not any(value in str(caught.value) for value in ("100", "700", "77", "'x'", "'a'"))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("make", TABLES)
def test_rows_may_be_dropped_for_what_they_miss(tmp_path: Path, make: Maker) -> None:
    column = {"name": "chol", "low": 0, "high": 700, "missing": "drop"}
    found = read(make(tmp_path), contract(columns=[column]))
    assert found.targets.tolist() == [0, 1, 1]


def test_kinds_are_the_files_of_the_folder() -> None:
    assert sources.kinds() == ("csv", "images", "npz", "parquet", "sql")
    for kind in sources.kinds():
        assert sources.get(kind).Settings.model_fields
    with pytest.raises(KeyError):
        sources.get("excel")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.csv", "csv"), ("a.data", "csv"), ("a.PARQUET", "parquet"), ("a.pq", "parquet")],
)
def test_a_files_name_tells_its_kind(name: str, kind: str) -> None:
    assert sources.kind_of(Path(name)) == kind


@pytest.mark.parametrize("name", ["absent.csv", "absent.parquet", "absent.npz"])
def test_an_absent_file_is_unreadable(tmp_path: Path, name: str) -> None:
    for act in (lambda d: d.version(), lambda d: next(d.blocks(contract()))):
        with pytest.raises(ContractError, match="unreadable") as caught:
            act(sourcing.lent(tmp_path / name))
        assert str(tmp_path) not in str(caught.value)
