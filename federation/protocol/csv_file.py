"""A site's CSV file as columns of text; faults are named, the file's content never is."""

import csv
import io
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.dtypes import StringDType

from federation.protocol.cells import Columns
from federation.protocol.document import DataContract

DELIMITERS = (",", ";", "\t", "|")
CHUNK_ROWS = 50_000
CHUNK_CELLS = 2_000_000  # a cell is a Python text for a moment, of about 60 bytes
LONGEST_LINE = 2**26
TEXT = StringDType()


class ContractError(ValueError):
    """The data do not fit the contract: which declared column, which kind of fault, what to do.

    It never holds a value, a count, a position or a name that the contract does not declare: a
    refusal leaves the site.
    """

    def __init__(self, column: str, fault: str, advice: str) -> None:
        where = f"column {column!r}" if column else "the file"
        super().__init__(f"{where}: {fault}; {advice}")
        self.column = column
        self.fault = fault
        self.advice = advice


def needed_columns(contract: DataContract) -> list[str]:
    """Names of the columns that the contract reads, each once, the target last."""
    names = [column.name for column in contract.columns]
    windows = contract.windows
    sorting = [*windows.order, windows.series_column] if windows else []
    names += [name for name in (contract.patient_column, *sorting) if name is not None]
    return list(dict.fromkeys([*names, contract.target.column]))


def read_csv(path: Path, contract: DataContract) -> Columns:
    """All blocks of `csv_blocks` together. Raises as it does."""
    parts = list(csv_blocks(path, needed_columns(contract)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def csv_blocks(path: Path, names: Sequence[str], most: int = CHUNK_ROWS) -> Iterator[Columns]:
    """The named columns of the file, block by block: each an array of text [n], stripped.

    The first line is the header; comma, semicolon, tab or bar separates. Other columns are
    ignored, empty lines too. A block has at most `most` rows, of a wide file fewer.

    Raises:
        ContractError: absent, empty, not UTF-8, malformed or truncated file, a needed column
            that is missing or stands twice.
    """
    try:
        with path.open("rb", buffering=0) as raw, io.BufferedReader(_AsOpened(raw)) as data:
            # utf-8-sig drops the mark that spreadsheet programs put first.
            yield from _blocks(
                io.TextIOWrapper(data, encoding="utf-8-sig", newline=""), names, most
            )
    except OSError:
        advice = "check that the file exists and that the site may read it"
        raise _fault("unreadable", advice) from None
    except UnicodeDecodeError:
        raise _fault("not UTF-8 text", "save it as CSV in UTF-8") from None
    except csv.Error:
        # The original errors' texts may quote the file.
        advice = "check its quotation marks, and that it was copied whole"
        raise _fault("malformed", advice) from None


class _AsOpened(io.RawIOBase):
    """A file up to the end that it had when it was opened: it may grow faster than it is read."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw, self._left = raw, os.fstat(raw.fileno()).st_size

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """As of any raw file."""
        view = memoryview(buffer)[: self._left]
        count = self._raw.readinto(view) if len(view) else 0
        self._left -= count or 0
        return count or 0


def _fault(fault: str, advice: str) -> ContractError:
    return ContractError("", fault, advice)


def _blocks(file: TextIO, names: Sequence[str], most: int) -> Iterator[Columns]:
    lines = _text_lines(file)
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise _fault("empty", "give a CSV file with a header line and at least one row")
    reader = csv.reader(
        itertools.chain([first], lines), delimiter=_delimiter(first, names), strict=True
    )
    header = [name.strip() for name in next(reader)]
    places = _places(header, names)
    empty = True
    rows = max(1, min(most, CHUNK_ROWS, CHUNK_CELLS // len(header)))
    for part in _parts(reader, len(header), places, rows):
        empty = False
        yield dict(zip(names, part, strict=True))
    if empty:
        raise _fault("empty", "give a CSV file with at least one row below the header")


def _text_lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(LONGEST_LINE):
        if "\0" in line:
            raise _fault("not UTF-8 text", "save it as CSV in UTF-8")
        if len(line) == LONGEST_LINE:
            raise _fault("malformed", "a line has no end; check that it was copied whole")
        yield line


def _delimiter(header: str, names: Sequence[str]) -> str:
    """The separator under which most needed columns stand in the header line."""

    def found(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=delimiter), [])
        return len({cell.strip() for cell in cells} & set(names)), len(cells)

    return max(DELIMITERS, key=found)


def _places(header: list[str], names: Sequence[str]) -> list[int]:
    for name in names:
        if header.count(name) > 1:
            raise ContractError(name, "duplicate column", "keep one column of this name")
        if name not in header:
            raise ContractError(
                name, "missing column", "the first line must be a header that names it exactly"
            )
    named = [name for name in header if name]
    if len(set(named)) != len(named):
        # Not named here: without a header line these would be the first row's values.
        raise _fault("duplicate column", "give each column of the header a name of its own")
    return [header.index(name) for name in names]


def _parts(
    reader: Iterator[list[str]], width: int, places: list[int], most: int
) -> Iterator[list[np.ndarray]]:
    """Arrays of up to `most` rows per needed column: a whole file of Python texts is large."""
    # Spreadsheet programs end files with rows of nothing but separators.
    filled = (row for row in reader if row and (row[0] or any(row)))
    while rows := list(itertools.islice(filled, most)):
        if set(map(len, rows)) != {width}:
            raise _fault(
                "truncated", "every line needs as many cells as the header; copy the file again"
            )
        cells = list(zip(*rows, strict=True))
        yield [np.strings.strip(np.array(cells[place], dtype=TEXT)) for place in places]
