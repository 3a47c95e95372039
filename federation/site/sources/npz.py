"""Arrays in an `.npz` file, read row by row from the archive; nothing in it is ever unpickled."""

import difflib
import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from typing import IO

import numpy as np
from numpy.lib import format as npy

from federation.protocol.cells import Arrays, Cells, Coded, Columns, Numbers, coded, number_text
from federation.protocol.contract import ContractError, row_width
from federation.protocol.csv_file import needed_columns
from federation.protocol.document import ArrayColumn, DataContract, NumberColumn
from federation.protocol.encoding import text_array
from federation.site.sources import FileSettings, file_version, rows_per_block, unreadable

READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
LONGEST_HEADER = 10_000
# RuntimeError: the archive is encrypted, or packed in a way that is not known here.
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
)
# What numpy lets through of the parsers that a header's text goes to; of memory they run out where
# it is nested too deep.
NO_HEADER = (SyntaxError, TypeError, tokenize.TokenError, RecursionError, MemoryError)
LAST_CHARACTER = 0x10FFFF


class NpzSettings(FileSettings):
    """`keys` names the array of the file for each column that is called otherwise there."""

    keys: dict[str, str] = {}


class NpzFile:
    """One archive; each column is an array whose first axis counts the rows."""

    Settings = NpzSettings

    def version(self, settings: NpzSettings) -> str:
        """By the file's size and times."""
        return file_version(settings.file)

    def blocks(self, settings: NpzSettings, contract: DataContract) -> Generator[Columns]:
        """Blocks of numbers, coded texts and arrays."""
        if not settings.file.is_file():
            raise unreadable()
        try:
            with zipfile.ZipFile(settings.file) as archive, ExitStack() as stack:
                names = needed_columns(contract)
                _check_keys(archive, names, settings.keys)
                members = {
                    name: _Member(name, stack.enter_context(_opened(archive, name, settings.keys)))
                    for name in names
                }
                yield from _blocks(members, contract)
        except ContractError:
            raise
        except BROKEN:
            # The original errors' texts may quote the file.
            advice = "check that it was copied whole and was written by numpy.savez"
            raise ContractError("", "no readable npz file", advice) from None


def _check_keys(archive: zipfile.ZipFile, names: Sequence[str], keys: dict[str, str]) -> None:
    """Raises ContractError for a key without an array, or one that misspells a column.

    Columns that only other studies on this dataset know are no mistake.
    """
    there = set(archive.namelist())
    for column, key in keys.items():
        if f"{key}.npy" not in there:
            advice = f"site.toml's keys say {key!r}, and the file has no array of this name"
            raise ContractError(column, "missing array", advice)
        meant = difflib.get_close_matches(column, set(names) - set(keys), n=1, cutoff=0.8)
        if column not in names and meant:
            advice = f"the study has no such column; if {meant[0]!r} is meant, correct site.toml"
            raise ContractError(column, "unknown column in keys", advice)


def _opened(archive: zipfile.ZipFile, name: str, keys: dict[str, str]) -> IO[bytes]:
    """The array of column `name`. Raises ContractError where there is none."""
    key = f"{keys.get(name, name)}.npy"
    if archive.namelist().count(key) != 1:
        advice = "the file must have an array of this name (or, at a site, `keys` say which it is)"
        raise ContractError(name, "missing column", advice)
    return archive.open(key)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether columns come first, kind of number). Raises ValueError for what is none."""
    reader = READERS.get(npy.read_magic(file))
    if reader is None:
        raise ValueError("a later version of the format")
    try:
        found: tuple[tuple[int, ...], bool, np.dtype] = reader(file, LONGEST_HEADER)
    except NO_HEADER:
        raise ValueError("no header") from None
    return found


class _Member:
    """One array of the archive, from its first row to its last."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        """Raises ValueError for what is no array, ContractError for one that has no rows."""
        self.name, self._file = name, file
        self.shape, columnwise, self.kind = _header(file)
        if self.kind.hasobject or self.kind.names:
            raise ContractError(name, "wrong type", "give an array of numbers or texts")
        if columnwise and len(self.shape) > 1:
            raise ContractError(name, "wrong order", "save it in row order (numpy.ascontiguous)")
        if not self.shape:
            raise ContractError(name, "another shape", "the first axis must count the rows")

    def next(self, rows: int) -> np.ndarray:
        """The next `rows` rows. Raises EOFError where the archive ends before."""
        size = rows * int(np.prod(self.shape[1:])) * self.kind.itemsize
        data = self._file.read(size)
        if len(data) != size:
            raise EOFError
        return np.frombuffer(data, dtype=self.kind).reshape(rows, *self.shape[1:])


def _blocks(members: dict[str, _Member], contract: DataContract) -> Iterator[Columns]:
    count = members[contract.target.column].shape[0]
    for name, member in members.items():
        if member.shape[0] != count:
            raise ContractError(name, "another number of rows", "give one row for each target")
    if count == 0:
        raise ContractError("", "empty", "give at least one row")
    form = {column.name: column for column in contract.columns}
    most = rows_per_block(row_width(contract))
    for first in range(0, count, most):
        rows = min(most, count - first)
        yield {
            name: _cells(name, member.next(rows), form.get(name))
            for name, member in members.items()
        }


def _cells(name: str, array: np.ndarray, column: object) -> Cells:
    if isinstance(column, ArrayColumn):
        return Arrays(_channels_first(name, array, tuple(column.shape)))
    flat = array.reshape(len(array), -1)
    if flat.shape[1] != 1:
        raise ContractError(name, "another shape", "give one value in each row")
    cells = flat[:, 0]
    if cells.dtype.kind == "U":
        return coded(np.strings.strip(_texts(cells)))
    if cells.dtype.kind not in "biuf":
        raise ContractError(name, "wrong type", "give an array of numbers or texts")
    if cells.dtype.kind != "f" and not isinstance(column, NumberColumn):
        found, codes = np.unique(cells, return_inverse=True)
        return Coded([number_text(value) for value in found.tolist()], codes.astype(np.int64))
    numbers = Numbers(cells.astype(np.float64), np.zeros(len(cells), dtype=bool))
    return numbers if isinstance(column, NumberColumn) else coded(numbers)


def _texts(cells: np.ndarray) -> np.ndarray:
    """As a CSV file gives them. Raises ValueError where the bytes are no text."""
    numbers = np.dtype("u4").newbyteorder(cells.dtype.byteorder)
    if (np.ascontiguousarray(cells).view(numbers) > LAST_CHARACTER).any():
        raise ValueError("no characters")
    return text_array(cells.tolist())


def _channels_first(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[n, size] in the order of `shape`; channels may come last, one channel may have no axis."""
    found = array.shape[1:]
    if array.dtype.kind not in "biuf":
        raise ContractError(name, "wrong type", "give an array of numbers")
    if found != shape and len(shape) > 1 and found == (*shape[1:], shape[0]):
        array = np.moveaxis(array, -1, 1)
    elif found != shape and not (shape[0] == 1 and found == shape[1:]):
        raise ContractError(
            name, "another shape", "give arrays of the declared shape, channels first or last"
        )
    return array.reshape(len(array), -1)


SOURCE = NpzFile()
