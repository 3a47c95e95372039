"""The site's own record of what was charged and what left: append-only, hash-chained."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from accounting.dp.events import PrivacyEvent
from federation.protocol.canonical import canonical_json
from federation.protocol.journal_rows import GENESIS, sealed


class JournalBroken(RuntimeError):
    """The chain does not verify: an entry was altered, removed or added by something else."""


class JournalFull(RuntimeError):
    """An entry could not be synced to disk, so nothing that depends on it may happen."""


class Kind(StrEnum):
    """charged → released | refused; or refused at once; acknowledged when the hub has answered."""

    CHARGED = "charged"
    RELEASED = "released"
    REFUSED = "refused"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True)
class Slot:
    """Where in a study an assignment stands, and the exact message that asked for it."""

    study: str
    round: int
    attempt: int
    phase: str
    assignment: str
    message_digest: str


@dataclass(frozen=True)
class Entry:
    """One row. `digest` covers every other field, `previous_digest` the row before."""

    sequence: int
    at: str
    kind: str
    study: str
    round: int
    attempt: int
    phase: str
    assignment: str
    message_digest: str
    lineage: str
    protocol_digest: str
    event: str
    tensors_digest: str
    reason: str
    previous_digest: str
    digest: str = ""

    def sealed(self) -> str:
        """SHA-256 over the canonical JSON of all fields but `digest`."""
        return sealed(asdict(self))

    def to_json(self) -> dict[str, Any]:
        """All fields, the event as an object (None where nothing was charged)."""
        return asdict(self) | {"event": json.loads(self.event) if self.event else None}


_NAMES = tuple(field.name for field in fields(Entry))
_COLUMNS = ", ".join(_NAMES)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS entries (
  sequence INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, study TEXT NOT NULL,
  round INTEGER NOT NULL, attempt INTEGER NOT NULL, phase TEXT NOT NULL,
  assignment TEXT NOT NULL, message_digest TEXT NOT NULL, lineage TEXT NOT NULL,
  protocol_digest TEXT NOT NULL, event TEXT NOT NULL, tensors_digest TEXT NOT NULL,
  reason TEXT NOT NULL, previous_digest TEXT NOT NULL UNIQUE, digest TEXT NOT NULL UNIQUE);
CREATE UNIQUE INDEX IF NOT EXISTS charged_once ON entries (study, round, attempt, phase)
  WHERE kind = '{Kind.CHARGED}';
CREATE UNIQUE INDEX IF NOT EXISTS released_once ON entries (assignment)
  WHERE kind = '{Kind.RELEASED}';
CREATE INDEX IF NOT EXISTS by_assignment ON entries (assignment);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON entries
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON entries
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""


class Journal:
    """Open the journal at `path`, verifying every digest.

    Raises:
        JournalBroken: the chain does not hold, or the file is no journal.
        JournalFull: the file cannot be written at all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with translated(path):
            self._rows = opened(path, _SCHEMA)
        entries = tuple(self.entries())
        verify(entries, path)
        self._head = (entries[-1].sequence, entries[-1].digest) if entries else (0, GENESIS)
        self._latest = max((entry.at for entry in entries), default="")

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    @property
    def latest(self) -> datetime | None:
        """The newest time written so far; a clock that shows less has run backwards."""
        return datetime.fromisoformat(self._latest) if self._latest else None

    @property
    def head(self) -> tuple[int, str]:
        """Sequence and digest of the newest entry; (0, GENESIS) where there is none."""
        return self._head

    def since(self, first: int, most: int) -> tuple[Entry, ...]:
        """At most `most` entries from sequence `first` on."""
        return tuple(self._select("sequence >= ? ORDER BY sequence LIMIT ?", (max(1, first), most)))

    def entries(self) -> Iterator[Entry]:
        """Every entry, oldest first."""
        return self._select("1 = 1 ORDER BY sequence", ())

    def about(self, assignment: str) -> dict[Kind, Entry]:
        """What is written of one assignment, by kind."""
        rows = self._select("assignment = ? ORDER BY sequence", (assignment,))
        return {Kind(row.kind): row for row in rows}

    def charge_of(self, slot: Slot) -> Entry | None:
        """The charge of this (study, round, attempt, phase), under whichever assignment."""
        rows = self._select(
            "kind = ? AND study = ? AND round = ? AND attempt = ? AND phase = ?",
            (Kind.CHARGED, slot.study, slot.round, slot.attempt, slot.phase),
        )
        return next(rows, None)

    def released(self, study: str, phase: str) -> tuple[Entry, ...]:
        """What one study was sent in one phase, in all rounds and attempts."""
        where = "kind = ? AND study = ? AND phase = ? ORDER BY sequence"
        return tuple(self._select(where, (Kind.RELEASED, study, phase)))

    def charged_events(
        self, *, lineage: str | None = None, study: str | None = None, but: Entry | None = None
    ) -> tuple[PrivacyEvent, ...]:
        """All events ever charged to one lineage, or by one study, except the entry `but`."""
        rows = self._select(
            "kind = ? AND (? IS NULL OR lineage = ?) AND (? IS NULL OR study = ?)",
            (Kind.CHARGED, lineage, lineage, study, study),
        )
        return tuple(_event(row.event) for row in rows if row != but)

    def append(
        self,
        kind: Kind,
        slot: Slot,
        *,
        at: datetime,
        lineage: str = "",
        protocol_digest: str = "",
        event: PrivacyEvent | None = None,
        tensors_digest: str = "",
        reason: str = "",
    ) -> Entry:
        """Write one entry and sync it to disk before returning. Raises JournalFull."""
        sequence, previous = self._head
        draft = Entry(
            sequence=sequence + 1,
            # Whole seconds: the hub reads the journal, and how long a batch took is private.
            at=at.astimezone(UTC).isoformat(timespec="seconds"),
            kind=kind,
            **asdict(slot),
            lineage=lineage,
            protocol_digest=protocol_digest,
            event=canonical_json(event.to_json()).decode() if event else "",
            tensors_digest=tensors_digest,
            reason=reason,
            previous_digest=previous,
        )
        entry = Entry(**asdict(draft) | {"digest": draft.sealed()})
        self._insert(entry)
        self._head = (entry.sequence, entry.digest)
        self._latest = max(self._latest, entry.at)
        return entry

    def _insert(self, entry: Entry) -> None:
        marks = ", ".join("?" for _ in _NAMES)
        with translated(self._path):
            self._rows.execute(
                f"INSERT INTO entries ({_COLUMNS}) VALUES ({marks})",  # noqa: S608 (own names)
                tuple(asdict(entry).values()),
            )

    def _select(self, where: str, values: tuple[Any, ...]) -> Iterator[Entry]:
        with translated(self._path):
            rows = self._rows.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE {where}",  # noqa: S608 (own names)
                values,
            ).fetchall()
        return (Entry(*row) for row in rows)


def read_entries(path: Path) -> tuple[Entry, ...]:
    """The verified entries of a journal that a worker may be writing. Raises JournalBroken."""
    with translated(path):
        rows = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            found = rows.execute(
                f"SELECT {_COLUMNS} FROM entries ORDER BY sequence"  # noqa: S608 (own names)
            ).fetchall()
        finally:
            rows.close()
    entries = tuple(Entry(*row) for row in found)
    verify(entries, path)
    return entries


def verify(entries: tuple[Entry, ...], path: Path) -> None:
    """Recompute the chain. Raises JournalBroken naming the first wrong entry."""
    previous = GENESIS
    for number, entry in enumerate(entries, start=1):
        right = (number, previous, entry.sealed())
        if (entry.sequence, entry.previous_digest, entry.digest) != right:
            raise JournalBroken(
                f"{path}: entry {number} does not fit its chain; the journal was changed. Keep the "
                "file as evidence, restore the newest backup, and tell your compliance officer: "
                "until then nothing may be computed here"
            )
        previous = entry.digest


@lru_cache(maxsize=4096)
def _event(text: str) -> PrivacyEvent:
    return PrivacyEvent.from_json(json.loads(text))


def as_json(entries: tuple[Entry, ...]) -> list[Mapping[str, Any]]:
    """The entries as JSON objects, for comparison with the hub's ledger."""
    return [entry.to_json() for entry in entries]


def opened(path: Path, schema: str) -> sqlite3.Connection:
    """A file of the site's own, for writing: its owner's alone, synced at every commit.

    So what returned survives a power cut.
    """
    rows = sqlite3.connect(path, isolation_level=None)
    path.chmod(0o600)
    rows.execute("PRAGMA journal_mode = WAL")
    rows.execute("PRAGMA synchronous = FULL")
    rows.executescript(schema)
    return rows


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the failures of the journal's file into JournalFull and JournalBroken."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # a mistake of ours, not of the disk: it must not pass for a full one
    except sqlite3.OperationalError as error:
        raise JournalFull(
            f"{path} cannot be written ({error.sqlite_errorname}); free disk space or correct the "
            "permissions. Nothing was computed"
        ) from error
    except sqlite3.DatabaseError as error:
        raise JournalBroken(f"{path} is not a journal any more; restore a backup") from error
