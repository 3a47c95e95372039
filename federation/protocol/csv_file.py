"""A site's CSV file as columns of text; faults are named, the file's content never is."""

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.dtypes import StringDType

from federation.protocol.document import DataContract

DELIMITERS = (",", ";", "\t", "|")
CHUNK_ROWS = 50_000
TEXT = StringDType()

Columns = dict[str, np.ndarray]


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
    if contract.patient_column is not None and contract.patient_column not in names:
        names.append(contract.patient_column)
    return [*names, contract.target.column]


def read_csv(path: Path, contract: DataContract) -> Columns:
    """The contract's columns of the file, each an array of text (`StringDType`) [n], stripped.

    The first line is the header; comma, semicolon, tab or bar separates. Other columns are
    ignored, empty lines too.

    Raises:
        ContractError: absent, empty, not UTF-8, malformed or truncated file, a needed column
            that is missing or stands twice.
    """
    try:
        # utf-8-sig drops the mark that spreadsheet programs put first.
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _columns(file, needed_columns(contract))
    except OSError:
        advice = "check that the file exists and that the site may read it"
        raise _fault("unreadable", advice) from None
    except UnicodeDecodeError:
        raise _fault("not UTF-8 text", "save it as CSV in UTF-8") from None
    except csv.Error:
        # The original errors' texts may quote the file.
        advice = "check its quotation marks, and that it was copied whole"
        raise _fault("malformed", advice) from None


def _fault(fault: str, advice: str) -> ContractError:
    return ContractError("", fault, advice)


def _columns(file: TextIO, names: list[str]) -> Columns:
    lines = _text_lines(file)
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise _fault("empty", "give a CSV file with a header line and at least one row")
    reader = csv.reader(
        itertools.chain([first], lines), delimiter=_delimiter(first, names), strict=True
    )
    header = [name.strip() for name in next(reader)]
    places = _places(header, names)
    parts = list(_parts(reader, len(header), places))
    if not parts:
        raise _fault("empty", "give a CSV file with at least one row below the header")
    return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}


def _text_lines(file: TextIO) -> Iterator[str]:
    for line in file:
        if "\0" in line:
            raise _fault("not UTF-8 text", "save it as CSV in UTF-8")
        yield line


def _delimiter(header: str, names: list[str]) -> str:
    """The separator under which most needed columns stand in the header line."""

    def found(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=delimiter), [])
        return len({cell.strip() for cell in cells} & set(names)), len(cells)

    return max(DELIMITERS, key=found)


def _places(header: list[str], names: list[str]) -> list[int]:
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
    reader: Iterator[list[str]], width: int, places: list[int]
) -> Iterator[list[np.ndarray]]:
    """Arrays of up to CHUNK_ROWS rows per needed column: a whole file of Python texts is large."""
    # Spreadsheet programs end files with rows of nothing but separators.
    filled = (row for row in reader if row and (row[0] or any(row)))
    while rows := list(itertools.islice(filled, CHUNK_ROWS)):
        if set(map(len, rows)) != {width}:
            raise _fault(
                "truncated", "every line needs as many cells as the header; copy the file again"
            )
        cells = list(zip(*rows, strict=True))
        yield [np.strings.strip(np.array(cells[place], dtype=TEXT)) for place in places]
