"""Which rows of a chunk belong to one privacy unit, and rows laid side by side by unit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch


@dataclass(frozen=True)
class Layout:
    """`units`, int64 [rows], names each row's unit 0 … n_units − 1; None: row n is unit n."""

    units: torch.Tensor | None
    n_units: int
    device: torch.device | None = None  # of the rows; None: the processor
    wide: int | None = None  # rows that a unit takes side by side; None: the most that one has
    spare: int = 0  # rows that follow and only fill up: they belong to nobody and add nothing

    def filled(self) -> "Layout":
        """The same with every spare row as a unit of its own, after the others."""
        if not self.spare:
            return self
        more = self.n_units + self.spare
        if self.units is None:
            return Layout(None, more, self.device)
        own = torch.arange(self.n_units, more, device=self.units.device)
        return Layout(torch.cat([self.units, own]), more, self.device)

    def named(self) -> torch.Tensor:
        """int64 [rows]: the unit of each row, also where that is simple."""
        if self.units is None:
            return torch.arange(self.n_units, device=self.device)
        return self.units

    @cached_property
    def counts(self) -> torch.Tensor:
        """int64 [units]: how many rows each has."""
        return torch.bincount(self.named(), minlength=self.n_units)

    def alike(self) -> "Iterator[tuple[Any, Any, Layout]]":
        """Units of about as many rows: (which units, which rows, as indices; their layout).

        Laid side by side they are at most twice as many, however uneven all are, and how wide a
        unit is laid depends on it alone. Units without rows are left out.
        """
        sizes = torch.log2(self.counts.double()).ceil()
        every = torch.unique(sizes).tolist()
        for size in every:
            if size < 0:  # without rows
                continue
            wide = 2 ** int(size)
            if len(every) == 1:
                yield slice(None), slice(None), replace(self, wide=wide)
                return
            units = sizes == size
            rows, those = self.without(~units)
            yield units, rows, replace(those, wide=wide)

    def without(self, units: torch.Tensor) -> "tuple[torch.Tensor, Layout]":
        """The rows that belong to none of `units`, bool [units], and their layout."""
        rows = ~units[self.named()]
        numbers = torch.cumsum(~units, 0) - 1
        return rows, Layout(numbers[self.named()[rows]], int((~units).sum()), self.device)

    def to_rows(self, factors: torch.Tensor) -> torch.Tensor:
        """Each row's factor from each unit's."""
        return factors if self.units is None else factors[self.units]

    def summed(self, rows: torch.Tensor) -> torch.Tensor:
        """[units, …] from [rows, …]."""
        if self.units is None:
            return rows
        return rows.new_zeros(self.n_units, *rows.shape[1:]).index_add_(0, self.units, rows)

    def side_by_side(self, rows: torch.Tensor) -> torch.Tensor:
        """[units, most rows of a unit, …] from [rows, …], zero where a unit has fewer."""
        if self.units is None:
            return rows.unsqueeze(1)
        beside = rows.new_zeros(self.n_units * self._widest, *rows.shape[1:])
        beside[self._slots] = rows
        return beside.view(self.n_units, self._widest, *rows.shape[1:])

    @cached_property
    def _widest(self) -> int:
        assert self.units is not None  # noqa: S101 - only asked for where rows are grouped
        if self.wide is not None:
            return self.wide
        return max(1, int(self.counts.max())) if self.n_units else 1

    @cached_property
    def _slots(self) -> torch.Tensor:
        """Where each row stands: its unit's first place plus its number within the unit."""
        assert self.units is not None  # noqa: S101 - only asked for where rows are grouped
        order = torch.argsort(self.units, stable=True)
        ordered = self.units[order]
        starts = torch.cumsum(self.counts, 0) - self.counts
        within = torch.arange(len(ordered), device=ordered.device) - starts[ordered]
        slots = torch.empty_like(order)
        slots[order] = ordered * self._widest + within
        return slots
