"""Encoded rows that lie in files: only the rows that are asked for come into memory."""

import mmap
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

Indices = NDArray[np.int64]

MOST_MAPPED = 512 << 20  # bytes of one file that may come to lie in this process's memory

ADVISE = getattr(os, "posix_fadvise", None)  # where the system has it
_WHO = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)


class Rows(Protocol):
    """What arrays of rows must do for training: `take(indices, axis=0)` and `rows[first:last]`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, …)."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: Any, /) -> NDArray[Any]: ...

    def take(self, indices: Any, /, axis: Any = 0) -> NDArray[Any]:
        """The rows of these numbers, a copy; `axis` is 0."""
        ...


class _Taken:
    """Chosen rows by the name that numpy gives it; along the first axis, the only one."""

    def take(self, indices: Any, /, axis: Any = 0) -> NDArray[Any]:
        """The rows of these numbers. Raises ValueError for another axis."""
        if axis != 0:
            raise ValueError("only whole rows can be taken")
        found: NDArray[Any] = self[indices]  # type: ignore[index]
        return found


class FileRows(_Taken):
    """Numbers in a file, [n] or [n, width], given out as `gives` and by copy.

    A small file is mapped. From a large one each row is read by itself, at under 1 µs: mapped
    pages count as this process's memory, and Linux maps up to two megabytes around each row that
    is touched (giving them back in time costs more than reading, and so does a thread that reads
    ahead: docs/results.md). The file may be unlinked meanwhile.
    """

    def __init__(self, path: Path, kind: DTypeLike, shape: tuple[int, ...], gives: Any) -> None:
        """Raises ValueError where the file's size is not that of the shape, OSError."""
        self.shape, self._gives, self._kind = shape, gives, np.dtype(kind)
        self._row_bytes = self._kind.itemsize * int(np.prod(shape[1:]))
        size = self._row_bytes * shape[0]
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                raise ValueError(f"{path.name} is cut off or too long")
            self._file = os.dup(file.fileno())
        self._mapped: np.ndarray | None = None
        self._waits = True  # whether rows came from the disk when last some were read
        if 0 < size <= MOST_MAPPED:
            whole = mmap.mmap(self._file, size, access=mmap.ACCESS_READ)
            self._mapped = np.frombuffer(whole, dtype=kind).reshape(shape)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any, /) -> NDArray[Any]:
        if isinstance(chosen, slice):
            first, last, step = chosen.indices(len(self))
            return self._read(np.array([first]), np.array([max(0, last - first)]))[::step]
        if self._mapped is not None:
            return self._mapped[chosen].astype(self._gives, copy=False)
        rows = np.asarray(chosen, dtype=np.int64)
        # Rows of one unit lie side by side and are read together.
        begins = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        return self._read(rows[begins], np.diff(begins, append=len(rows)))

    def _read(self, firsts: Indices, counts: Indices) -> NDArray[Any]:
        """The runs of rows, one after the other. Raises OSError where the file was cut off."""
        places = (self._row_bytes * firsts).tolist()
        lengths = (self._row_bytes * counts).tolist()
        before = _waited()
        if self._waits and len(places) > 1 and ADVISE is not None:
            # All at once: what is not in the system's cache then comes six times as fast. Where
            # all of it is, asking would cost half as much again as reading.
            for place, length in zip(places, lengths, strict=True):
                ADVISE(self._file, place, length, os.POSIX_FADV_WILLNEED)
        parts = list(map(os.pread, repeat(self._file), lengths, places))
        self._waits = before != _waited()
        data = bytearray().join(parts)  # not bytes: torch wants to be able to write
        if len(data) != sum(lengths):
            raise OSError("stored rows were cut off while they were in use")
        rows = np.frombuffer(data, dtype=self._kind).reshape(-1, *self.shape[1:])
        return rows.astype(self._gives, copy=False)


def _waited() -> tuple[int, int]:
    """Blocks that this thread had read from a disk, and how often it gave up the processor."""
    used = resource.getrusage(_WHO)
    return used.ru_inblock, used.ru_nvcsw


@dataclass(frozen=True)
class EachRow(_Taken):
    """The `starts` of units that are one row each: unit u begins at row u."""

    n_units: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(units + 1,)."""
        return (self.n_units + 1,)

    def __len__(self) -> int:
        return self.n_units + 1

    def __getitem__(self, chosen: Any, /) -> NDArray[Any]:
        if isinstance(chosen, slice):
            return np.arange(*chosen.indices(len(self)))
        return np.asarray(chosen, dtype=np.int64)


@dataclass(frozen=True)
class Joined(_Taken):
    """Two arrays of rows as one, the second after the first, without copying either."""

    first: Rows
    second: Rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows of both, …)."""
        return (len(self), *self.first.shape[1:])

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, chosen: Any, /) -> NDArray[Any]:
        if isinstance(chosen, slice):
            chosen = np.arange(*chosen.indices(len(self)))
        later = chosen >= len(self.first)
        begun = self.first[chosen[~later]]
        found = np.empty((len(chosen), *begun.shape[1:]), dtype=begun.dtype)
        found[~later] = begun
        found[later] = self.second[chosen[later] - len(self.first)]
        return found


@dataclass(frozen=True)
class Stored:
    """Rows in files, each unit's side by side: unit u owns rows `starts[u]` up to `starts[u + 1]`.

    features float32 [n, width], targets [n] as in `Encoded`, starts int64 [n_units + 1].
    """

    features: Rows
    targets: Rows
    starts: Rows

    @property
    def n_units(self) -> int:
        """How many privacy units there are."""
        return len(self.starts) - 1

    @property
    def units(self) -> Indices:
        """int64 [n]: the unit of each row; made anew, for who can afford it."""
        return np.repeat(np.arange(self.n_units), np.diff(self.starts[:]))

    def followed_by(self, features: NDArray[np.float32], targets: Indices) -> "Stored":
        """The same, and after them rows that are a unit each; nothing in the files is copied."""
        starts: Rows = EachRow(self.n_units + len(targets))
        if not isinstance(self.starts, EachRow):
            starts = Joined(self.starts, len(self.targets) + np.arange(1, len(targets) + 1))
        return Stored(Joined(self.features, features), Joined(self.targets, targets), starts)

    def pieces(self, rows: int) -> Iterator[tuple[slice, Indices]]:
        """All units in groups of about `rows` rows: (the rows, the unit of each from 0)."""
        share = max(1, rows * self.n_units // max(1, len(self.targets)))
        for first in range(0, self.n_units, share):
            starts = self.starts[first : first + share + 1]
            units = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
            yield slice(int(starts[0]), int(starts[-1])), units
