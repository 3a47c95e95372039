"""How one declared column becomes numbers, by public constants alone."""

import math
import re
from collections.abc import Sequence

import numpy as np

from federation.protocol.cells import Arrays, Cells, Coded, Numbers, coded
from federation.protocol.csv_file import TEXT, ContractError
from federation.protocol.document import ArrayColumn, CategoryColumn, NumberColumn

RANGE = re.compile(r"\s*(<=|<|>=|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")
WHOLE = re.compile(r"([-+]?\d{1,400})(?:\.0*)?")
COMPARED = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
Column = NumberColumn | CategoryColumn | ArrayColumn


def is_missing(cells: Cells, tokens: Sequence[str], declared: Sequence[str] = ()) -> np.ndarray:
    """bool [n]: cells that are one of the missing-value tokens and no declared category.

    Exact texts come first, a category before a token; else numbers are compared as numbers, so that
    "-9.0" in the data is the token "-9" whatever kind of source it lies in. Where a source knows
    "no value" (NULL), that is missing whatever the tokens are; NaN is where a token says so.
    """
    if isinstance(cells, Arrays):
        return np.zeros(len(cells), dtype=bool)
    codes = _Codes(tokens, declared)
    if isinstance(cells, Numbers):
        return codes.of_numbers(cells)
    if isinstance(cells, Coded):
        return cells.cells_where([codes.mean(text) for text in cells.texts], null=True)
    if any(math.isfinite(float(text)) for text in codes.numbers):
        found = coded(cells)
        return found.cells_where([codes.mean(text) for text in found.texts], null=True)
    missing = np.zeros(len(cells), dtype=bool)
    for text in codes.texts:
        missing |= cells == text
    return missing


class _Codes:
    """The tokens that no category takes: as they are written, and as numbers."""

    def __init__(self, tokens: Sequence[str], declared: Sequence[str]) -> None:
        self._declared = {text.strip() for text in declared}
        self.texts = {token.strip() for token in tokens} - self._declared
        taken = set(map(plain_number, self._declared))
        plain = {text for text in map(plain_number, self.texts) if _number(text) is not None}
        self.numbers = plain - taken

    def mean(self, text: str) -> bool:
        """Whether that text stands for no value."""
        if text in self._declared:
            return False
        return text in self.texts or plain_number(text) in self.numbers

    def of_numbers(self, cells: Numbers) -> np.ndarray:
        """bool [n]: which of the numbers stand for no value."""
        missing = cells.null.copy()
        for value in map(float, self.numbers):
            missing |= np.isnan(cells.values) if math.isnan(value) else cells.values == value
        return missing


def _number(text: str) -> float | None:
    """The number that the text says; None for any other, and where it is grouped by "_"."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def column_missing(column: Column, cells: Cells, tokens: Sequence[str]) -> np.ndarray:
    """bool [n]: where the column has no value."""
    declared = column.categories if isinstance(column, CategoryColumn) else ()
    return is_missing(cells, tokens, declared)


def column_width(column: Column) -> int:
    """How many features the column becomes."""
    if isinstance(column, ArrayColumn):
        return math.prod(column.shape)
    if isinstance(column, CategoryColumn):
        return len(column.categories) + (column.missing == "category")
    return 1 + (column.missing == "indicator")


def feature_names(column: Column) -> list[str]:
    """One readable name per feature of the column."""
    if isinstance(column, ArrayColumn):
        places = np.ndindex(*column.shape)
        return [f"{column.name} [{', '.join(map(str, place))}]" for place in places]
    if isinstance(column, CategoryColumn):
        names = [f"{column.name} = {category}" for category in column.categories]
        return [*names, f"{column.name} missing"] if column.missing == "category" else names
    return [column.name, f"{column.name} missing"][: column_width(column)]


def encode_column(column: Column, cells: Cells, missing: np.ndarray, out: np.ndarray) -> None:
    """Write the column's features, float32 [n, column_width], into `out` (zeros before).

    Raises ContractError: a value is missing, no number, not finite, out of bounds or undeclared.
    """
    if column.missing == "refuse" and missing.any():
        raise ContractError(
            column.name, "missing value", "declare a missing rule for it, or complete the data"
        )
    if isinstance(column, ArrayColumn):
        _encode_arrays(column, cells, out)
    elif isinstance(column, CategoryColumn):
        _encode_categories(column, cells, missing, out)
    else:
        _encode_numbers(column, cells, missing, out)


def _encode_arrays(column: ArrayColumn, cells: Cells, out: np.ndarray) -> None:
    if not isinstance(cells, Arrays) or cells.values.shape[1:] != out.shape[1:]:
        raise ContractError(
            column.name, "another shape", "give arrays of the declared shape, channels first"
        )
    # Single precision, in place: a block of images is the largest thing that ingest holds.
    np.copyto(out, cells.values, casting="unsafe")
    if not np.isfinite(out).all():
        raise _not_finite(column.name)
    if column.outside == "clip":
        np.clip(out, column.low, column.high, out=out)
    elif ((out < np.float32(column.low)) | (out > np.float32(column.high))).any():
        raise _out_of_bounds(column.name)
    centre, spread = _scale(column)
    out -= np.float32(centre)
    out /= np.float32(spread)


def _encode_numbers(
    column: NumberColumn, cells: Cells, missing: np.ndarray, out: np.ndarray
) -> None:
    present = ~missing
    values = _within(column, _numbers(column.name, cells[present]))
    out[present, 0] = _scaled(column, values)
    if isinstance(column.missing, float):
        out[missing, 0] = _scaled(column, np.float64(column.missing))
    elif column.missing == "indicator":
        out[missing, 1] = 1.0


def _numbers(name: str, cells: Cells) -> np.ndarray:
    try:
        values = _parsed(cells)
    except ValueError:
        # The original error quotes the cell.
        raise ContractError(
            name,
            "not a number",
            "write plain numbers with a decimal point, or declare the text "
            "that stands for a missing value",
        ) from None
    if not np.isfinite(values).all():
        raise _not_finite(name)
    return values


def _parsed(cells: Cells) -> np.ndarray:
    """float64 [n]. Raises ValueError, whose text quotes a cell."""
    if isinstance(cells, Numbers):
        return cells.values
    if isinstance(cells, Coded):
        return _of_texts(np.array(cells.texts, dtype=TEXT))[cells.codes]
    if isinstance(cells, Arrays):
        raise ValueError("an array is no number")
    return _of_texts(cells)


def _of_texts(texts: np.ndarray) -> np.ndarray:
    if (np.strings.find(texts, "_") >= 0).any():
        raise ValueError("grouped as in a program's text: 1_0 may be a slip of 1.0")
    return texts.astype(np.float64)


def _not_finite(name: str) -> ContractError:
    return ContractError(name, "not finite", "NaN and infinity are no values; mark as missing")


def _out_of_bounds(name: str) -> ContractError:
    return ContractError(
        name,
        "out of bounds",
        "correct the data, or declare wider bounds or outside = 'clip' in the study",
    )


def _within(column: NumberColumn, values: np.ndarray) -> np.ndarray:
    if column.outside == "clip":
        return np.clip(values, column.low, column.high)
    if ((values < column.low) | (values > column.high)).any():
        raise _out_of_bounds(column.name)
    return values


def _scaled(column: NumberColumn, values: np.ndarray | np.float64) -> np.ndarray | np.float64:
    if column.centre is not None and column.spread is not None:
        return (values - column.centre) / column.spread
    return 2.0 * (values - column.low) / (column.high - column.low) - 1.0


def _scale(column: ArrayColumn) -> tuple[float, float]:
    """The public centre and spread; by default the middle of the bounds and half their distance."""
    if column.centre is not None and column.spread is not None:
        return column.centre, column.spread
    return (column.high + column.low) / 2, (column.high - column.low) / 2


def _encode_categories(
    column: CategoryColumn, cells: Cells, missing: np.ndarray, out: np.ndarray
) -> None:
    groups = [[category] for category in column.categories]
    index = class_index(cells, groups)
    unknown = (index < 0) & ~missing
    if column.outside == "refuse" and unknown.any():
        raise ContractError(
            column.name,
            "undeclared category",
            "correct the data, declare the category, or declare outside = 'ignore' in the study",
        )
    known = np.flatnonzero((index >= 0) & ~missing)
    out[known, index[known]] = 1.0
    if column.missing == "category":
        out[missing, len(column.categories)] = 1.0


def class_index(cells: Cells, groups: Sequence[Sequence[str]]) -> np.ndarray:
    """int64 [n]: the group in which each cell's text stands, -1 for none.

    A text that is exactly declared comes first; else numbers are compared as numbers, so that
    "1.0" in the data is the declared "1" (unless two groups would then be meant).
    """
    exact = {text.strip(): place for place, group in enumerate(groups) for text in group}
    numeric = _by_number(exact)
    found = coded(cells)
    places = [exact.get(text, numeric.get(plain_number(text), -1)) for text in found.texts]
    return np.array([*places, -1], dtype=np.int64)[found.codes]


def target_index(cells: Cells, groups: Sequence[Sequence[str]]) -> np.ndarray:
    """int64 [n]: as `class_index`; further a class may declare a range: "< 2.5" or ">= 2.5".

    A number that no class names is of the first class with a range that it lies in.
    """
    index = class_index(cells, groups)
    ranges = [
        (place, RANGE.fullmatch(text)) for place, group in enumerate(groups) for text in group
    ]
    if not any(found for _, found in ranges):
        return index
    found = coded(cells)
    values = np.array([_plain(text) for text in found.texts], dtype=np.float64)
    places = np.full(len(values) + 1, -1, dtype=np.int64)  # the last: no value
    for place, match in reversed(ranges):
        if match:
            within = COMPARED[match[1]](values, float(match[2]))
            places[:-1][within] = place
    return np.where(index < 0, places[found.codes], index)


def _plain(text: str) -> float:
    """The number that the text says; NaN, which lies in no range, for any other text."""
    number = _number(text)
    return number if number is not None and math.isfinite(number) else math.nan


def _by_number(exact: dict[str, int]) -> dict[str, int]:
    groups: dict[str, set[int]] = {}
    for text, place in exact.items():
        groups.setdefault(plain_number(text), set()).add(place)
    return {text: min(places) for text, places in groups.items() if len(places) == 1}


def plain_number(text: str) -> str:
    """One text per finite number ("1.0", "1" and "+1e0" are "1"); other text stays as it is.

    A whole number that is written out keeps every digit, also where it is no float any more.
    """
    number = _number(text)
    if number is None or not math.isfinite(number):
        return text
    if not number.is_integer():
        return repr(number)
    written = WHOLE.fullmatch(text)
    return str(int(written[1] if written else number))


def text_array(values: Sequence[str]) -> np.ndarray:
    """An array of text as a CSV file gives it."""
    return np.array(values, dtype=TEXT)
