"""The rounds of a study arranged for reading: who sits where in the open one, and the past ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from federation.selectors.live import RoundRow, SiteCell


@dataclass(frozen=True)
class Bead:
    """One planned round on the string of beads: its newest attempt's status, or planned."""

    number: int
    status: str

    @property
    def words(self) -> str:
        """What a reader hears."""
        return f"Round {self.number}: {self.status}"


@dataclass(frozen=True)
class PastRound:
    """One attempt with the cells of the sites that the reader may see, by name."""

    row: RoundRow
    cells: tuple[SiteCell, ...]


@dataclass(frozen=True)
class Board:
    """What the rounds panel shows."""

    newest: PastRound | None
    beads: tuple[Bead, ...]
    past: tuple[PastRound, ...]  # newest first
    closed: int


def seen_rounds(rows: Sequence[RoundRow], seen: set[str], planned: int) -> Board:
    """Arrange the attempts (oldest first), leaving out sites not in `seen` (slugs)."""
    shown = [PastRound(row, _visible(row, seen)) for row in rows]
    newest = {row.number: row.status for row in rows if row.trains}
    count = max([planned, *newest])
    return Board(
        newest=shown[-1] if shown else None,
        beads=tuple(Bead(n, newest.get(n, "planned")) for n in range(1, count + 1)),
        past=tuple(reversed(shown)),
        closed=sum(status == "closed" for status in newest.values()),
    )


def _visible(row: RoundRow, seen: set[str]) -> tuple[SiteCell, ...]:
    return tuple(cell for cell in row.sites if cell.institution in seen)
