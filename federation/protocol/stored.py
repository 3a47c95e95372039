"""Encoded rows that lie in files: only the rows that are asked for come into memory."""

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

Indices = NDArray[np.int64]

PAGE = 4096
MOST_MAPPED = 64 << 20  # bytes of the file that may stay in this process's memory


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


class Mapped(_Taken):
    """Numbers in a file, [n] or [n, width], given out as `gives` and by copy.

    Chosen rows are read through a memory map, page by page and never ahead; pages that were read
    are let go again, so that the process stays small however long it draws from a large file.
    Slices are read from the file in one go. Needs no name: the file may be unlinked meanwhile.
    """

    def __init__(self, path: Path, kind: DTypeLike, shape: tuple[int, ...], gives: Any) -> None:
        """Raises ValueError where the file's size is not that of the shape, OSError."""
        self.shape, self._gives = shape, gives
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        with path.open("rb") as file:
            self._file = os.dup(file.fileno())
            if os.fstat(self._file).st_size != size:
                raise ValueError(f"{path.name} is cut off or too long")
            self._map = mmap.mmap(self._file, size, access=mmap.ACCESS_READ) if size else None
        whole: Any = b"" if self._map is None else self._map
        self._all = np.frombuffer(whole, dtype=kind).reshape(shape)
        if self._map is not None:
            self._map.madvise(mmap.MADV_RANDOM)
        self._touched = 0

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any, /) -> NDArray[Any]:
        if isinstance(chosen, slice):
            return self._slice(*chosen.indices(len(self)))
        found = self._all[chosen].astype(self._gives, copy=False)
        self._let_go(np.size(chosen) * (self._row_bytes + PAGE))
        return found

    @property
    def _row_bytes(self) -> int:
        return self._all.itemsize * int(np.prod(self.shape[1:]))

    def _slice(self, first: int, last: int, step: int) -> NDArray[Any]:
        count = max(0, last - first)
        data = bytearray(count * self._row_bytes)
        view, done = memoryview(data), 0
        while done < len(data):
            done += os.preadv(self._file, [view[done:]], first * self._row_bytes + done)
        rows = np.frombuffer(data, dtype=self._all.dtype).reshape(count, *self.shape[1:])
        return rows[::step].astype(self._gives, copy=False)

    def _let_go(self, touched: int) -> None:
        self._touched += touched
        if self._map is not None and self._touched > MOST_MAPPED:
            self._map.madvise(mmap.MADV_DONTNEED)  # of a read-only map: from memory, not from disk
            self._touched = 0


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

    features float32 [n, width], targets int64 [n], starts int64 [n_units + 1].
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
