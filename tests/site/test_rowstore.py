"""Encoded rows in files: as in memory, whole or not there, and gone when they are stale."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.learning.units import UnitRows
from federation.protocol import stored as stored_rows
from federation.protocol.contract import ContractError, encode, read_csv
from federation.protocol.document import DataContract
from federation.protocol.stored import EachRow, Stored
from federation.site import rowstore
from federation.site.config import Dataset
from federation.site.datasets import Datasets
from federation.site.rowstore import RowsUnwritable, Split
from tests.site.sourcing import SECRET, contract, csv_file, lent, patients, protocol

HEADER = "who,age,chol,cp,num"
ROW = st.tuples(
    st.sampled_from("abcdefgh"),
    st.integers(0, 100).map(str),
    st.sampled_from(["100", "200", "?"]),
    st.sampled_from(["1", "2", "x", ""]),
    st.sampled_from(["0", "1"]),
)


def written(folder: Path, rows: list[tuple[str, ...]]) -> Dataset:
    path = folder / "data.csv"
    path.write_text("\n".join([HEADER, *map(",".join, rows)]) + "\n")
    return lent(path)


def stored(folder: Path, dataset: Dataset, data: DataContract, holdout: float = 0.0) -> Split:
    return Datasets(SECRET, folder / "rows").read(dataset, protocol(data, holdout))


def bag(data: Any) -> Counter[Any]:
    """The units as a bag of bags of rows: numbering and order do not count."""
    units: dict[int, list[Any]] = {}
    targets = np.reshape(data.targets[:], (len(data.targets), -1) if len(data.targets) else (0, 1))
    rows = zip(data.units.tolist(), data.features[:].tolist(), targets.tolist(), strict=True)
    for unit, features, target in rows:
        units.setdefault(unit, []).append((*features, *target))
    return Counter(tuple(sorted(found)) for found in units.values())


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(ROW, min_size=1, max_size=40), cap=st.integers(1, 4))
def test_files_hold_what_memory_would(
    tmp_path: Path, rows: list[tuple[str, ...]], cap: int
) -> None:
    dataset = written(tmp_path, rows)
    for data in (contract(), patients(cap)):
        assert dataset.file is not None
        whole = encode(read_csv(dataset.file, data), data, keyed_order=SECRET)
        found = stored(tmp_path, dataset, data).train
        assert bag(found) == bag(whole)
        assert found.n_units == whole.n_units
        split = stored(tmp_path, dataset, data, holdout=0.5)
        assert bag(split.train) + bag(split.holdout) == bag(whole)


@pytest.mark.parametrize("most_mapped", [2**28, 0])
def test_a_batch_is_drawn_as_from_memory(
    tmp_path: Path, most_mapped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_rows, "MOST_MAPPED", most_mapped)
    rows = [(f"p{i % 50}", str(i % 100), "200", "1", str(i % 2)) for i in range(300)]
    found = stored(tmp_path, written(tmp_path, rows), patients(10)).train
    units = UnitRows.of(found)
    assert not units.single
    batch = np.array([0, 3, 49])
    for _, owners, count in units.chunks(batch, 5):
        assert owners is not None
        assert count == owners.max() + 1
        assert (np.diff(owners) >= 0).all()
    chosen = np.concatenate([numbers for numbers, _, _ in units.chunks(batch, 5)])
    assert found.units[chosen].tolist() == sorted(np.repeat(batch, 6).tolist())
    features, targets = units.features.take(chosen, axis=0), units.targets.take(chosen)
    assert (features.dtype, targets.dtype) == (np.float32, np.int64)
    assert features.flags.writeable
    assert (features == found.features[:][chosen]).all()
    assert (targets == found.targets[:][chosen]).all()
    backwards = chosen[::-1]
    assert (units.features.take(backwards, axis=0) == features[::-1]).all()
    assert units.features.take(chosen[:0], axis=0).shape == (0, 7)


def test_rows_that_are_units_need_no_index(tmp_path: Path) -> None:
    found = stored(tmp_path, csv_file(tmp_path), contract()).train
    assert isinstance(found.starts, EachRow)
    assert UnitRows.of(found).single
    assert found.starts[np.array([0, 5])].tolist() == [0, 5]


def test_only_the_owner_reads_the_rows(tmp_path: Path) -> None:
    stored(tmp_path, csv_file(tmp_path), patients(), holdout=0.3)
    files = list((tmp_path / "rows").rglob("*"))
    assert {path.name for path in files if path.is_file()} == {
        *(
            f"{side}.{part}"
            for side in rowstore.SIDES
            for part in ("features", "targets", "starts")
        ),
        "rows.json",
    }
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_a_second_worker_finds_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = csv_file(tmp_path)
    first = stored(tmp_path, dataset, contract()).train
    monkeypatch.setattr("federation.site.datasets.encoded_blocks", None)
    assert bag(stored(tmp_path, dataset, contract()).train) == bag(first)


def test_a_changed_file_replaces_its_rows(tmp_path: Path) -> None:
    dataset = csv_file(tmp_path)
    datasets = Datasets(SECRET, tmp_path / "rows")
    old = datasets.read(dataset, protocol(contract())).train
    before = bag(old)
    written(tmp_path, [("a", "1", "200", "1", "0")]).file.rename(tmp_path / "heart.csv")  # type: ignore[union-attr]
    assert datasets.read(dataset, protocol(contract())).train.n_units == 1
    assert len(list((tmp_path / "rows").iterdir())) == 1
    assert bag(old) == before  # who still holds the old ones is not disturbed


def test_only_the_last_contracts_stay(tmp_path: Path) -> None:
    dataset = csv_file(tmp_path)
    datasets = Datasets(SECRET, tmp_path / "rows")
    for holdout in (0.1, 0.2, 0.3, 0.2):
        datasets.read(dataset, protocol(contract(), holdout))
    assert len(list((tmp_path / "rows").iterdir())) == 2
    other = Dataset.model_validate({"name": "other", "file": str(dataset.file)})
    datasets.read(other, protocol(contract()))
    assert len(list((tmp_path / "rows").iterdir())) == 3


@pytest.mark.parametrize("name", ["train.features", "train.targets", "train.starts", "rows.json"])
def test_rows_that_are_cut_off_are_made_anew(tmp_path: Path, name: str) -> None:
    dataset, data = csv_file(tmp_path), patients()
    whole = bag(stored(tmp_path, dataset, data).train)
    (path,) = (tmp_path / "rows").rglob(name)
    path.write_bytes(path.read_bytes()[:-1])
    assert bag(stored(tmp_path, dataset, data).train) == whole


@pytest.mark.parametrize("data", [contract(), patients()])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, data: DataContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = csv_file(tmp_path)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(RowsUnwritable, match="make room") as caught:
            stored(tmp_path, dataset, data)
    assert "No space left" in str(caught.value)
    assert list((tmp_path / "rows").iterdir()) == []
    assert stored(tmp_path, dataset, data).train.n_units > 0


def test_a_real_full_disk_is_told(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk's end: the write itself fails."""
    rows = "\n".join([HEADER, *(f"p{i},{i % 100},200,1,0" for i in range(5000))])
    (tmp_path / "heart.csv").write_text(rows + "\n")
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))\n"
        "from pathlib import Path; from tests.site.test_rowstore import *\n"
        "f = Path(sys.argv[1])\n"
        "try: stored(f, lent(f / 'heart.csv'), contract())\n"
        "except RowsUnwritable as error: print(error)\n"
        "print(len(list((f / 'rows').iterdir())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    said, left = done.stdout.splitlines()
    assert "File too large" in said
    assert left == "0"


KILLED = """
import sys, time
from pathlib import Path
from federation.site.datasets import Datasets
from tests.site.sourcing import SECRET, lent, protocol, patients
folder = Path(sys.argv[1])
def asked():
    print("reading", flush=True)
    time.sleep(60)
Datasets(SECRET, folder / "rows").read(lent(folder / "heart.csv"), protocol(patients()), asked)
"""


def test_a_killed_process_leaves_nothing_that_is_read(tmp_path: Path) -> None:
    dataset = csv_file(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"reading\n"
        process.send_signal(signal.SIGKILL)
    (left,) = (tmp_path / "rows").iterdir()
    assert left.name.endswith(".part")
    datasets = Datasets(SECRET, tmp_path / "rows")
    assert list((tmp_path / "rows").iterdir()) == []
    assert datasets.read(dataset, protocol(patients())).train.n_units == 3


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    dataset = csv_file(tmp_path)

    def asked() -> None:
        time.sleep(0.01)
        with (tmp_path / "heart.csv").open("a") as file:
            file.write("1,2,1,0,z\n")

    with pytest.raises(ContractError, match="changed while it was read"):
        Datasets(SECRET, tmp_path / "rows").read(dataset, protocol(contract()), asked)
    assert list((tmp_path / "rows").iterdir()) == []


def test_reading_can_be_stopped(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def asked() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        Datasets(SECRET, tmp_path / "rows").read(csv_file(tmp_path), protocol(contract()), asked)
    assert list((tmp_path / "rows").iterdir()) == []


def test_a_patient_with_more_rows_than_memory_has_room_for_is_capped_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"p{i % 3}", str(i % 101), "200", "1", str(i % 2)) for i in range(400)]
    dataset, data = written(tmp_path, rows), patients(7)
    whole = bag(stored(tmp_path / "a", dataset, data).train)
    monkeypatch.setattr(rowstore, "PIECE_BYTES", 300)
    assert bag(stored(tmp_path / "b", dataset, data).train) == whole
    assert sorted(len(rows) for rows in whole) == [7, 7, 7]


def test_canaries_follow_the_rows_without_a_copy(tmp_path: Path) -> None:
    for data in (contract(), patients()):
        found = stored(tmp_path, csv_file(tmp_path), data).train
        extra = np.full((2, 7), 9, np.float32)
        both = found.followed_by(extra, np.array([1, 0]))
        assert isinstance(both, Stored)
        assert both.n_units == found.n_units + 2
        assert both.units.tolist() == [*found.units.tolist(), *range(found.n_units, both.n_units)]
        assert (both.features[:] == np.concatenate([found.features[:], extra])).all()
        last = len(found.targets)
        assert both.targets.take(np.array([last + 1, 0, last])).tolist() == [
            0,
            found.targets[:][0],
            1,
        ]


def test_an_empty_hold_out_is_no_trouble(tmp_path: Path) -> None:
    for data in (contract(), patients()):
        held = stored(tmp_path, csv_file(tmp_path), data).holdout
        assert (held.n_units, held.features[:].shape, held.units.tolist()) == (0, (0, 7), [])
        assert [rows for rows, _ in held.pieces(10)] == []
