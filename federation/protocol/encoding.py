"""How one declared column of text becomes numbers, by public constants alone."""

from collections.abc import Sequence

import numpy as np

from federation.protocol.csv_file import TEXT, ContractError
from federation.protocol.document import CategoryColumn, NumberColumn

Column = NumberColumn | CategoryColumn


def is_missing(
    cells: np.ndarray, tokens: Sequence[str], declared: Sequence[str] = ()
) -> np.ndarray:
    """bool [n]: cells that are one of the missing-value tokens and no declared category."""
    missing = np.zeros(len(cells), dtype=bool)
    for token in tokens:
        if token.strip() not in declared:
            missing |= cells == token.strip()
    return missing


def column_missing(column: Column, cells: np.ndarray, tokens: Sequence[str]) -> np.ndarray:
    """bool [n]: where the column has no value."""
    declared = column.categories if isinstance(column, CategoryColumn) else ()
    return is_missing(cells, tokens, declared)


def column_width(column: Column) -> int:
    """How many features the column becomes."""
    if isinstance(column, CategoryColumn):
        return len(column.categories) + (column.missing == "category")
    return 1 + (column.missing == "indicator")


def feature_names(column: Column) -> list[str]:
    """One readable name per feature of the column."""
    if isinstance(column, CategoryColumn):
        names = [f"{column.name} = {category}" for category in column.categories]
        return [*names, f"{column.name} missing"] if column.missing == "category" else names
    return [column.name, f"{column.name} missing"][: column_width(column)]


def encode_column(column: Column, cells: np.ndarray, missing: np.ndarray, out: np.ndarray) -> None:
    """Write the column's features, float32 [n, column_width], into `out` (zeros before).

    Raises ContractError: a value is missing, no number, not finite, out of bounds or undeclared.
    """
    if column.missing == "refuse" and missing.any():
        raise ContractError(
            column.name, "missing value", "declare a missing rule for it, or complete the data"
        )
    if isinstance(column, CategoryColumn):
        _encode_categories(column, cells, missing, out)
    else:
        _encode_numbers(column, cells, missing, out)


def _encode_numbers(
    column: NumberColumn, cells: np.ndarray, missing: np.ndarray, out: np.ndarray
) -> None:
    present = ~missing
    values = _within(column, _numbers(column.name, cells[present]))
    out[present, 0] = _scaled(column, values)
    if isinstance(column.missing, float):
        out[missing, 0] = _scaled(column, np.float64(column.missing))
    elif column.missing == "indicator":
        out[missing, 1] = 1.0


def _numbers(name: str, cells: np.ndarray) -> np.ndarray:
    try:
        values = cells.astype(np.float64)
    except ValueError:
        # The original error quotes the cell.
        raise ContractError(
            name,
            "not a number",
            "write plain numbers with a decimal point, or declare the text "
            "that stands for a missing value",
        ) from None
    if not np.isfinite(values).all():
        raise ContractError(name, "not finite", "NaN and infinity are no values; mark as missing")
    return values


def _within(column: NumberColumn, values: np.ndarray) -> np.ndarray:
    if column.outside == "clip":
        return np.clip(values, column.low, column.high)
    if ((values < column.low) | (values > column.high)).any():
        raise ContractError(
            column.name,
            "out of bounds",
            "correct the data, or declare wider bounds or outside = 'clip' in the study",
        )
    return values


def _scaled(column: NumberColumn, values: np.ndarray | np.float64) -> np.ndarray | np.float64:
    if column.centre is not None and column.spread is not None:
        return (values - column.centre) / column.spread
    return 2.0 * (values - column.low) / (column.high - column.low) - 1.0


def _encode_categories(
    column: CategoryColumn, cells: np.ndarray, missing: np.ndarray, out: np.ndarray
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


def class_index(cells: np.ndarray, groups: Sequence[Sequence[str]]) -> np.ndarray:
    """int64 [n]: the group in which each cell's text stands, -1 for none.

    A text that is exactly declared comes first; else numbers are compared as numbers, so that
    "1.0" in the data is the declared "1" (unless two groups would then be meant).
    """
    exact = {text.strip(): place for place, group in enumerate(groups) for text in group}
    numeric = _by_number(exact)
    distinct, codes = distinct_texts(cells)
    places = [exact.get(text, numeric.get(plain_number(text), -1)) for text in distinct]
    return np.array(places, dtype=np.int64)[codes]


def distinct_texts(cells: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The distinct texts, and int64 [n]: where each cell's text stands among them.

    `np.unique` sorts texts, which takes ten times as long.
    """
    places: dict[str, int] = {}
    codes = (places.setdefault(text, len(places)) for text in cells.tolist())
    numbers = np.fromiter(codes, dtype=np.int64, count=len(cells))
    return list(places), numbers


def _by_number(exact: dict[str, int]) -> dict[str, int]:
    groups: dict[str, set[int]] = {}
    for text, place in exact.items():
        groups.setdefault(plain_number(text), set()).add(place)
    return {text: min(places) for text, places in groups.items() if len(places) == 1}


def plain_number(text: str) -> str:
    """One text per finite number ("1.0", "1" and "+1e0" are "1"); other text stays as it is."""
    try:
        number = float(text)
    except ValueError:
        return text
    if not np.isfinite(number) or "_" in text:
        return text
    return str(int(number)) if number.is_integer() else repr(number)


def text_array(values: Sequence[str]) -> np.ndarray:
    """An array of text as `read_csv` makes it."""
    return np.array(values, dtype=TEXT)
