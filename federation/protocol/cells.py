"""The cells of one column as sources hand them over: texts, numbers, coded texts or arrays.

A CSV file knows only texts (`StringDType` [n]); Parquet, databases and arrays know numbers, and
to write a hundred million of them out as text only to read them again would take most of an hour.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Numbers:
    """Numbers, float64 [n]; where `null`, bool [n], there is none."""

    values: NDArray[np.float64]
    null: Mask

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, chosen: Mask) -> Self:
        return type(self)(self.values[chosen], self.null[chosen])


@dataclass(frozen=True)
class Coded:
    """Texts that repeat: cell i is `texts[codes[i]]`, stripped; a code of −1 is no value."""

    texts: list[str]
    codes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, chosen: Mask) -> Self:
        return type(self)(self.texts, self.codes[chosen])

    def cells_where(self, found: list[bool], null: bool) -> Mask:
        """bool [n]: `found[k]` for each cell of text k, `null` where there is no value."""
        return np.array([*found, null], dtype=bool)[self.codes]


@dataclass(frozen=True)
class Arrays:
    """One flattened array of numbers for each row, [n, size], of any real or whole kind."""

    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, chosen: Mask) -> Self:
        return type(self)(self.values[chosen])


Cells = np.ndarray | Numbers | Coded | Arrays
Columns = dict[str, Cells]


def joined(parts: list[Cells]) -> Cells:
    """One column from its blocks, all of one kind, in order."""
    first = parts[0]
    if isinstance(first, Numbers):
        return Numbers(*(_ends_joined(parts, name) for name in ("values", "null")))
    if isinstance(first, Arrays):
        return Arrays(_ends_joined(parts, "values"))
    if isinstance(first, Coded):
        return _codes_joined([part for part in parts if isinstance(part, Coded)])
    return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])


def _ends_joined(parts: list[Cells], name: str) -> np.ndarray:
    return np.concatenate([getattr(part, name) for part in parts])


def _codes_joined(parts: list[Coded]) -> Coded:
    """Each text once: a text of two blocks is one text."""
    places: dict[str, int] = {}
    codes = []
    for part in parts:
        found = [places.setdefault(text, len(places)) for text in part.texts]
        codes.append(np.array([*found, -1], dtype=np.int64)[part.codes])
    return Coded(list(places), np.concatenate(codes))


def coded(cells: Cells) -> Coded:
    """The cells as coded texts: a whole number without a point, any other as Python writes it.

    Raises TypeError for arrays, which are no texts.
    """
    if isinstance(cells, Coded):
        return cells
    if isinstance(cells, Numbers):
        found, places = np.unique(cells.values, return_inverse=True)
        codes = np.where(cells.null, -1, places.astype(np.int64))
        return Coded([number_text(value) for value in found.tolist()], codes)
    if isinstance(cells, Arrays):
        raise TypeError("an array is no text")
    texts, codes = distinct_texts(cells)
    return Coded(texts, codes)


def number_text(value: float | Decimal) -> str:
    """ "1" for 1, 1.0 and Decimal("1.00"), "0.5" for .5, "nan" for NaN.

    Whole numbers and decimals keep every digit: above 2^53 not each of them is a float, and who has
    the next identifier is another patient.
    """
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Decimal) and value.is_finite():
        text = format(value if value else abs(value), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def distinct_texts(cells: np.ndarray) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct texts, and int64 [n]: where each cell's text stands among them.

    `np.unique` sorts texts, which takes ten times as long.
    """
    places: dict[str, int] = {}
    codes = (places.setdefault(text, len(places)) for text in cells.tolist())
    numbers = np.fromiter(codes, dtype=np.int64, count=len(cells))
    return list(places), numbers
