"""`check` holds every kind of source against a study and says what does not fit, never a value."""

from collections.abc import Callable
from pathlib import Path

import pytest

from federation.protocol.document import DataContract
from federation.protocol.keys import SigningKey
from federation.site.check import check
from federation.site.config import Dataset
from federation.site.folder import Folder
from tests.site import sourcing
from tests.site.sourcing import contract, protocol

Maker = Callable[[Path], Dataset]


def said(tmp_path: Path, dataset: Dataset, data: DataContract) -> list[str]:
    """The lines of `check` about the dataset."""
    folder = Folder(tmp_path / "site")
    folder.create()
    SigningKey.generate().save(folder.key)
    source = dataset.source or {"kind": dataset.kind, "file": str(dataset.file)}
    keys = "\n".join(f'{key} = "{value}"' for key, value in source.items())
    folder.config.write_text(f'[[dataset]]\nname = "heart"\n[dataset.source]\n{keys}\n')
    lines = [str(finding) for finding in check(folder, protocol(data))]
    return [line for line in lines if "dataset" in line]


TABLES = [sourcing.csv_file, sourcing.parquet_file, sourcing.sqlite_file]


@pytest.mark.parametrize("make", TABLES)
def test_a_source_that_fits(tmp_path: Path, make: Maker) -> None:
    found, fits = said(tmp_path, make(tmp_path), contract())
    assert "can be found" in found
    assert fits == "✓ dataset heart for study test: fits the data contract"
    assert not (tmp_path / "site" / "rows").exists()  # check keeps no row


@pytest.mark.parametrize("make", TABLES)
def test_what_does_not_fit_is_told_by_column_and_kind(tmp_path: Path, make: Maker) -> None:
    narrow = contract(columns=[{"name": "age", "low": 0, "high": 99}])
    _, misfit = said(tmp_path, make(tmp_path), narrow)
    assert misfit.startswith("✗ dataset heart for study test: column 'age': out of bounds")
    assert "100" not in misfit


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    found, _ = said(tmp_path, sourcing.lent(tmp_path / "absent.parquet"), contract())
    assert found.startswith("✗ dataset heart: the file: unreadable")
