"""Windows over time series: which rows make one, in which order, and whose they are."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.protocol.cells import Cells, Columns, Mask, Numbers, coded
from federation.protocol.csv_file import ContractError
from federation.protocol.document import Windows

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


def times(columns: Columns, windows: Windows) -> Floats:
    """float64 [n, order columns]: what sorts each row within its series.

    Numbers count as they are, dates and times (ISO 8601; without a zone as UTC) in seconds.

    Raises:
        ContractError: an order column holds something else, or nothing.
    """
    return np.column_stack([_times(name, columns[name]) for name in windows.order])


def _times(name: str, cells: Cells) -> Floats:
    if isinstance(cells, Numbers) and not cells.null.any() and np.isfinite(cells.values).all():
        return cells.values
    found = coded(cells)
    try:
        read = [_moment(text) for text in found.texts]
    except ValueError:
        # The original error quotes the cell.
        raise _no_order(name) from None
    if len({dated for _, dated in read}) > 1:
        raise _no_order(name)  # 20260101 and 2026-01-02 do not follow each other
    moments = np.array([moment for moment, _ in read], dtype=np.float64)
    if (found.codes < 0).any() or not np.isfinite(moments).all():
        raise _no_order(name)
    return moments[found.codes] if len(moments) else np.zeros(len(found))


def _moment(text: str) -> tuple[float, bool]:
    """When it is, and whether it is a date. Raises ValueError."""
    if "_" in text:
        raise ValueError("neither a number nor a date")
    try:
        return float(text), False
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), True


def _no_order(name: str) -> ContractError:
    return ContractError(name, "not a time", "write numbers alone, or dates as 2026-01-31T12:00:00")


@dataclass(frozen=True)
class Cut:
    """The windows over some rows; which rows make one is told only of those that are asked for.

    `firsts`, int64 [windows], is each window's first row: all indices together would take `length`
    times as much room as the data.
    """

    firsts: Indices
    _begins: Indices
    _sorting: Indices
    _windows: Windows

    def rows(self, chosen: NDArray[Any]) -> Indices:
        """int64 [chosen, length]: the rows of those windows, in their order."""
        return self._at(chosen, np.arange(self._windows.length))

    def later(self, chosen: NDArray[Any]) -> Indices:
        """int64 [chosen, ahead]: the rows that say what is predicted from those windows."""
        return self._at(chosen, _reach(self._windows))

    def _at(self, chosen: NDArray[Any], places: Indices) -> Indices:
        return self._sorting[self._begins[chosen, np.newaxis] + places]


def _reach(windows: Windows) -> Indices:
    return windows.length - 1 + windows.horizon + np.arange(windows.ahead)


def windowed(
    series: NDArray[np.uint64], order: Floats, windows: Windows, gone: Mask, silent: Mask
) -> Cut:
    """The windows over rows that belong to `series` [n] and are sorted within it by `order`.

    A series that is too short has none. No window has a row that is `gone`, bool [n], nor predicts
    from one, nor from a `silent` one, whose outcome alone is not known: what lies on both sides of
    such a row does not follow each other.

    Raises:
        ContractError: two rows of one series have the same place in its order.
    """
    sorting = np.lexsort((*order.T[::-1], series))
    ordered, placed = series[sorting], order[sorting]
    same = ordered[1:] == ordered[:-1]
    if (same & (placed[1:] == placed[:-1]).all(axis=1)).any():
        raise ContractError(
            windows.order[-1], "two rows at one time", "each row of a series needs its own time"
        )
    first = np.searchsorted(ordered, ordered, side="left")
    last = np.searchsorted(ordered, ordered, side="right")
    places = np.arange(len(ordered))
    reach = _reach(windows)
    begins = np.flatnonzero(((places - first) % windows.step == 0) & (places + reach[-1] < last))
    touches = _any_of(gone[sorting], begins, windows.length)
    touches |= _any_of((gone | silent)[sorting], begins + reach[0], len(reach))
    begins = begins[~touches]
    return Cut(sorting[begins], begins, sorting, windows)


def _any_of(marked: Mask, begins: Indices, length: int) -> Mask:
    """bool [windows]: whether one of the `length` rows from each of `begins` is marked."""
    before = np.concatenate([[0], np.cumsum(marked)])
    found: Mask = before[begins + length] > before[begins]
    return found
