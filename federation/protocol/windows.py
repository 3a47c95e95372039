"""Windows over time series: which rows make one, in which order, and whose they are."""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from federation.protocol.cells import Cells, Columns, Numbers, coded
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
        moments = np.array([_moment(text) for text in found.texts], dtype=np.float64)
    except ValueError:
        # The original error quotes the cell.
        raise _no_order(name) from None
    if (found.codes < 0).any() or not np.isfinite(moments).all():
        raise _no_order(name)
    return moments[found.codes] if len(moments) else np.zeros(len(found))


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _no_order(name: str) -> ContractError:
    return ContractError(name, "not a time", "write numbers, or dates as 2026-01-31T12:00:00")


def windowed(series: NDArray[np.uint64], order: Floats, windows: Windows) -> tuple[Indices, ...]:
    """The windows over rows that belong to `series` [n] and are sorted within it by `order`.

    Returns (rows, int64 [windows, length]: each window's rows in order; later, int64
    [windows, ahead]: the rows that say what is predicted). A series that is too short has none.

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
    reach = windows.length - 1 + windows.horizon + np.arange(windows.ahead)
    begins = np.flatnonzero(((places - first) % windows.step == 0) & (places + reach[-1] < last))
    rows = begins[:, np.newaxis] + np.arange(windows.length)
    return sorting[rows], sorting[begins[:, np.newaxis] + reach]
