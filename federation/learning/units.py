"""Which rows belong to which privacy unit, and how a sample of units is cut into chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from federation.protocol.contract import Encoded
from federation.protocol.stored import EachRow, Rows, Stored

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class UnitRows:
    """Rows sorted by unit: unit u owns rows `starts[u]` up to `starts[u + 1]`.

    `features[rows]` is float32 [n, inputs] and `targets[rows]` [n] as in `Encoded`, whether they
    lie in memory or in files.
    """

    features: Rows
    targets: Rows
    starts: Rows
    single: bool  # every unit is a row of its own

    @classmethod
    def of(cls, data: Encoded | Stored, *, grouped: bool = False) -> Self:
        """The data with each unit's rows side by side (a copy only where they are not yet).

        `grouped` says that units may have several rows. It comes from the protocol: how rows are
        computed must not depend on whether some unit happens to have a second one.
        """
        if isinstance(data, Stored):
            single = not grouped and isinstance(data.starts, EachRow)
            return cls(data.features, data.targets, data.starts, single)
        counts = np.bincount(data.units, minlength=data.n_units)
        starts = np.concatenate([[0], np.cumsum(counts)])
        single = not grouped and bool((counts == 1).all())
        if (data.units[1:] >= data.units[:-1]).all():
            return cls(data.features, data.targets, starts, single)
        order = np.argsort(data.units, kind="stable")
        return cls(data.features[order], data.targets[order], starts, single)

    @property
    def n_units(self) -> int:
        """How many units there are, with or without rows."""
        return len(self.starts) - 1

    def chunks(self, batch: Indices, rows: int) -> Iterator[tuple[Indices, Indices | None, int]]:
        """The units of `batch` in groups of at most `rows` rows, or one unit that has more.

        Yields (row numbers, the unit of each as 0 … n − 1, n), at least once, even if empty. The
        units are None where row n is unit n.
        """
        if self.single:
            for first in range(0, max(1, len(batch)), rows):
                part = batch[first : first + rows]
                yield part, None, len(part)
            return
        starts = self.starts[batch]
        counts = self.starts[batch + 1] - starts
        ends = np.cumsum(counts)
        first = 0
        while first < len(batch) or first == 0:
            before = ends[first - 1] if first else 0
            last = max(int(np.searchsorted(ends, before + rows, side="right")), first + 1)
            yield _together(starts[first:last], counts[first:last])
            first = last


def blocks(
    rows: Indices, units: Indices | None, most: int
) -> Iterator[tuple[Indices, Indices | None]]:
    """The rows of one unit, at most `most` at a time, each with its unit."""
    for first in range(0, len(rows), most):
        part = slice(first, first + most)
        yield rows[part], None if units is None else units[part]


def _together(starts: Indices, counts: Indices) -> tuple[Indices, Indices, int]:
    units = np.repeat(np.arange(len(starts)), counts)
    within = np.arange(len(units)) - np.repeat(np.cumsum(counts) - counts, counts)
    return starts[units] + within, units, len(starts)
