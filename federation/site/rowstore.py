"""Encoded rows of a site, written once per file and contract, in files that training draws from.

A source is read in one stream; what is written appears under its name only when it is whole and on
disk. Rows of row-sized units stay in the order of the source. Rows of patients are first dealt
into `BUCKETS` files by a keyed hash of the patient, each of which is then sorted and capped in
memory: no step holds more than one block, one bucket or one batch.
"""

import json
import os
import shutil
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from federation.protocol.contract import (
    Block,
    cap,
    rank_within,
    row_width,
    target_shape,
    width,
)
from federation.protocol.document import DataContract
from federation.protocol.stored import EachRow, FileRows, Stored
from federation.protocol.windows import windowed
from federation.site.store import sync_folder, write_durably

BUCKETS = 256  # at most as many open files
PIECE_BYTES = 64 << 20  # of a bucket, read at a time
SIDES = ("train", "holdout")
# Of each kind of target: what it is in the file, and what is given out.
TARGETS = {"class": ("u1", np.int64), "number": ("<f4", np.float32)}
FACTS = "rows.json"


class RowsUnwritable(RuntimeError):
    """The encoded rows cannot be kept: the disk is full or read-only. Nothing half is left."""


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows held out; each privacy unit is on one side for ever."""

    train: Stored
    holdout: Stored


def write(folder: Path, blocks: Generator[Block], contract: DataContract) -> None:
    """Write all rows into `folder`, which appears when they are whole and on disk.

    Raises RowsUnwritable, and what `blocks` raises; either way nothing is left.
    """
    with _drafted(folder, blocks, contract) as (draft, facts):
        write_durably(draft / FACTS, json.dumps(facts).encode())
        draft.replace(folder)
        sync_folder(folder.parent)


def units(folder: Path, blocks: Generator[Block], contract: DataContract) -> dict[str, int]:
    """How many units each side would have after `write`, of which nothing stays. Raises alike."""
    with _drafted(folder, blocks, contract) as (_, facts):
        return {side: facts[side]["units"] for side in SIDES}


@contextmanager
def _drafted(
    folder: Path, blocks: Generator[Block], contract: DataContract
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """All rows beside `folder`, to be put there or gone, and how many rows and units they are."""
    draft = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.mkdir(mode=0o700)
        with closing(blocks):
            facts = _written(draft, blocks, contract)
        yield draft, facts
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise RowsUnwritable(
            f"the encoded rows cannot be written to {folder.parent} ({why}); "
            "they need about 4 bytes for each number: make room, or move the site's folder"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def read(folder: Path, contract: DataContract) -> Split | None:
    """The rows in `folder`; None where there are none, or not as they were written."""
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        sides = {side: _opened(folder, side, facts[side], contract) for side in SIDES}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Split(**sides)


def remove(folder: Path) -> None:
    """Remove rows that are not used any more; what is open stays readable."""
    shutil.rmtree(folder, ignore_errors=True)


def _opened(folder: Path, side: str, facts: dict[str, int], contract: DataContract) -> Stored:
    rows, units = facts["rows"], facts["units"]
    kept, given = TARGETS[contract.target.kind]
    starts = EachRow(units)
    return Stored(
        FileRows(folder / f"{side}.features", "<f4", (rows, width(contract)), np.float32),
        FileRows(folder / f"{side}.targets", kept, (rows, *target_shape(contract)), given),
        starts
        if contract.patient_column is None
        else FileRows(folder / f"{side}.starts", "<i8", (units + 1,), np.int64),
    )


def _written(draft: Path, blocks: Iterable[Block], contract: DataContract) -> dict[str, Any]:
    sides = [_Side(draft, name, TARGETS[contract.target.kind][0]) for name in SIDES]
    try:
        if contract.patient_column is None:
            for block in blocks:
                for place, side in enumerate(sides):
                    chosen = block.held == bool(place)
                    side.rows(block.features[chosen], block.targets[chosen])
        else:
            _Buckets(draft, contract).fill(blocks).pour(sides)
        return {side.name: side.finished() for side in sides}
    finally:
        for side in sides:
            side.close()


class _Side:
    """The three files of the training rows, or of the rows held out."""

    def __init__(self, folder: Path, name: str, kept: str) -> None:
        self.name, self._kept = name, kept
        self._features, self._targets, self._starts = (
            _created(folder / f"{name}.{part}") for part in ("features", "targets", "starts")
        )
        self._starts.write(np.zeros(1, "<i8").tobytes())
        self._rows = self._units = 0

    def rows(self, features: np.ndarray, targets: np.ndarray) -> None:
        """Append rows that are a unit each."""
        self._features.write(np.ascontiguousarray(features, "<f4").data)
        self._targets.write(targets.astype(self._kept).tobytes())
        self._rows += len(targets)
        self._units += len(targets)

    def grouped(self, features: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> None:
        """Append rows of whole units, side by side; `counts` says how many each has."""
        ends = self._rows + np.cumsum(counts)
        self._starts.write(ends.astype("<i8").tobytes())
        self.rows(features, targets)
        self._units += len(counts) - len(targets)

    def finished(self) -> dict[str, int]:
        """Bring it to disk; how many rows and units there are."""
        for file in (self._features, self._targets, self._starts):
            file.flush()
            os.fsync(file.fileno())
        return {"rows": self._rows, "units": self._units}

    def close(self) -> None:
        """Let go of the files, even where the last bytes find no room."""
        for file in (self._features, self._targets, self._starts):
            _closed(file)


def _created(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


class _Buckets:
    """Rows of patients, dealt into files by patient, then sorted and capped file by file."""

    def __init__(self, folder: Path, contract: DataContract) -> None:
        self._folder, self._contract = folder, contract
        windows = contract.windows
        fields: list[Any] = [("unit", "<u8"), ("order", "<u8"), ("held", "?")]
        fields.append(("target", TARGETS[contract.target.kind][0]))
        if windows is not None:
            fields += [("series", "<u8"), ("times", "<f8", (len(windows.order),))]
            fields += [("gone", "?"), ("silent", "?")]
        self._kind = np.dtype([*fields, ("features", "<f4", (row_width(contract),))])

    def fill(self, blocks: Iterable[Block]) -> "_Buckets":
        """Deal all rows out."""
        files: dict[int, BinaryIO] = {}
        try:
            for block in blocks:
                self._deal(block, files)
            for file in files.values():
                file.flush()
        finally:
            for file in files.values():
                _closed(file)
        return self

    def pour(self, sides: list[_Side]) -> None:
        """Each bucket's units, in order, to the side that they belong to."""
        for path in sorted(self._folder.glob("bucket.*")):
            units, features, targets, held = self._bucket(path)
            path.unlink()
            for number, side in enumerate(sides):
                chosen = held == bool(number)
                _, counts = np.unique(units[chosen], return_counts=True)
                side.grouped(features[chosen], targets[chosen], counts)

    def _path(self, place: int) -> Path:
        return self._folder / f"bucket.{place:03d}"

    def _deal(self, block: Block, files: dict[int, BinaryIO]) -> None:
        rows = np.empty(len(block.targets), self._kind)
        rows["unit"], rows["order"] = block.units, block.order
        rows["held"], rows["target"] = block.held, block.targets
        if self._contract.windows is not None:
            for name in ("series", "times", "gone", "silent"):
                rows[name] = getattr(block, name)
        rows["features"] = block.features
        places = (rows["unit"] >> np.uint64(56)).astype(np.int64)
        rows = rows[np.argsort(places, kind="stable")]
        ends = np.cumsum(np.bincount(places, minlength=BUCKETS)).tolist()
        for place, (first, last) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            if last > first and place not in files:
                files[place] = _created(self._path(place))
            if last > first:
                files[place].write(rows[first:last].data)

    def _bucket(self, path: Path) -> tuple[np.ndarray, ...]:
        """(units, features, targets, held) of one bucket, sorted by unit, at most `cap` of each."""
        if self._contract.windows is not None:
            return self._windows(np.fromfile(path, self._kind))
        kept = np.empty(0, self._kind)
        with path.open("rb") as file:
            # Piece by piece: one patient may have more rows than memory has room for.
            while len(
                piece := np.fromfile(file, self._kind, max(1, PIECE_BYTES // self._kind.itemsize))
            ):
                kept = self._capped(np.concatenate([kept, piece]))
        return kept["unit"], kept["features"], kept["target"], kept["held"]

    def _capped(self, rows: np.ndarray) -> np.ndarray:
        rows = rows[rank_within(rows["unit"], rows["order"]) < cap(self._contract)]
        return rows[np.lexsort((rows["order"], rows["unit"]))]

    def _windows(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The windows of the bucket's series; a whole series has to fit into memory."""
        windows = self._contract.windows
        if windows is None:
            raise ValueError("no windows are declared")
        marks = rows["gone"], rows["silent"]
        cut = windowed(rows["series"], rows["times"], windows, *marks)
        units, order = rows["unit"][cut.firsts], rows["order"][cut.firsts]
        kept = np.flatnonzero(rank_within(units, order) < cap(self._contract))
        kept = kept[np.lexsort((order[kept], units[kept]))]
        features = rows["features"][cut.rows(kept)].reshape(len(kept), width(self._contract))
        targets = rows["target"][cut.later(kept)].reshape(len(kept), *target_shape(self._contract))
        return units[kept], features, targets, rows["held"][cut.firsts[kept]]


def _closed(file: BinaryIO) -> None:
    try:
        file.close()
    except OSError:  # said already by the write that failed
        return
