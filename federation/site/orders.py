"""The order of each lineage's filter: fixed by its first loss here, whatever site.toml says later.

A Rényi filter is valid at any order that was fixed before the first loss, and only at that one
(accounting/dp/filters): an order that followed a changed limit would be chosen after results. In
the journal's file, beside the losses that it belongs to.
"""

from datetime import UTC, datetime
from pathlib import Path

from federation.site.journal import opened, translated

_SCHEMA = """
CREATE TABLE IF NOT EXISTS filter_orders (
  lineage TEXT PRIMARY KEY, filter_order TEXT NOT NULL, at TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS filter_orders_no_update BEFORE UPDATE ON filter_orders
  BEGIN SELECT RAISE(ABORT, 'the order of a filter is fixed'); END;
CREATE TRIGGER IF NOT EXISTS filter_orders_no_delete BEFORE DELETE ON filter_orders
  BEGIN SELECT RAISE(ABORT, 'the order of a filter is fixed'); END;
"""


class Orders:
    """The orders fixed so far. Raises JournalFull or JournalBroken as the journal does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with translated(path):
            self._rows = opened(path, _SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    def of(self, lineage: str) -> float | None:
        """The order that was fixed for a lineage; None before its first loss."""
        with translated(self._path):
            found = self._rows.execute(
                "SELECT filter_order FROM filter_orders WHERE lineage = ?", (lineage,)
            ).fetchone()
        return float(found[0]) if found else None

    def fix(self, lineage: str, order: float, at: datetime) -> float:
        """Fix the order before the first loss, synced; the one that holds from here on.

        Where one was fixed before, that one stays.
        """
        fixed = self.of(lineage)
        if fixed is not None:
            return fixed
        moment = at.astimezone(UTC).isoformat(timespec="seconds")
        with translated(self._path):
            self._rows.execute(
                "INSERT INTO filter_orders VALUES (?, ?, ?)", (lineage, repr(order), moment)
            )
        return order
