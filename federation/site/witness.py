"""This site as a witness: it remembers how far it saw the hub's ledger and lets none be rewritten.

The hub shows a signed checkpoint with each assignment and proves that it extends the one seen
before (RFC 6962). Every institution remembers for itself, so the hub can neither change what it
once wrote nor show two institutions two histories. What was accepted is on disk before anything
is computed; what was refused is kept as evidence, and then nothing more is answered until the
institution's own people have looked.
"""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from accounting.log import merkle
from accounting.log.checkpoints import CheckpointError, SignedCheckpoint
from federation.protocol.keys import verify
from federation.site.journal import opened, translated

ADVICE = "run `python -m federation.site witness` and speak with the hub's operator"
LONGEST = 64 * 1024  # characters of evidence that are kept of one answer


class LedgerForked(Exception):
    """The hub's ledger is not a continuation of what this site saw; the text says how."""


class Verdict(StrEnum):
    """What became of a checkpoint. `allowed`: refused, and then accepted by a person."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    ALLOWED = "allowed"


@dataclass(frozen=True)
class Sighting:
    """One checkpoint as it was shown: `shown` is the hub's answer, word for word.

    `size` and `root` are what is held after it: of a refused one, what was held before.
    """

    number: int
    at: str
    verdict: str
    size: int
    root: str
    shown: str
    why: str


@dataclass(frozen=True)
class Shown:
    """A checkpoint by the right key, and the proof that came with it."""

    signed: SignedCheckpoint
    proof: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Entries that the hub says its ledger has."""
        return self.signed.checkpoint.size

    @property
    def root(self) -> str:
        """Their Merkle root."""
        return self.signed.checkpoint.root


_NAMES = ", ".join(field.name for field in fields(Sighting))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sightings (
  number INTEGER PRIMARY KEY, at TEXT NOT NULL, verdict TEXT NOT NULL, size INTEGER NOT NULL,
  root TEXT NOT NULL, shown TEXT NOT NULL, why TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS sightings_no_update BEFORE UPDATE ON sightings
  BEGIN SELECT RAISE(ABORT, 'what was seen is kept'); END;
CREATE TRIGGER IF NOT EXISTS sightings_no_delete BEFORE DELETE ON sightings
  BEGIN SELECT RAISE(ABORT, 'what was seen is kept'); END;
"""


def _now() -> datetime:
    return datetime.now(UTC)


_NOTHING = Sighting(0, "", Verdict.ACCEPTED, 0, merkle.EMPTY_ROOT.hex(), "", "")


class Witness:
    """What this site saw of the hub's ledger, in the journal's file.

    Raises JournalFull or JournalBroken when the file cannot be written or read.
    """

    def __init__(self, path: Path, hub_key: str, clock: Callable[[], datetime] = _now) -> None:
        self._path = path
        self._hub_key = hub_key
        self._clock = clock
        with translated(path):
            self._rows = opened(path, _SCHEMA)
        self.newest = self._newest()
        self.blocked = self.newest.why if self.newest.verdict == Verdict.REFUSED else ""

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    @property
    def size(self) -> int:
        """How many entries of the ledger were seen."""
        return self.newest.size

    @property
    def root(self) -> str:
        """Their Merkle root, hex."""
        return self.newest.root

    def look(self, shown: str | None) -> None:
        """Judge the hub's answer (JSON: checkpoint, consistency); what is accepted is synced.

        Raises:
            LedgerForked: missing, by another key, older, or no continuation; from then on for
                whatever is shown, until a person allowed it.
            JournalFull: it could not be written, so nothing may rest on it.
        """
        if self.blocked:
            raise LedgerForked(self.blocked)
        try:
            found = read(shown, self._hub_key)
            self._check(found)
        except LedgerForked as error:
            self.blocked = str(error)
            self._write(Verdict.REFUSED, self.size, self.root, shown or "", str(error))
            raise
        if found.size != self.size or not self.newest.number:
            self._write(Verdict.ACCEPTED, found.size, found.root, shown or "", "")

    def allow(self, reason: str) -> Sighting:
        """A person accepts what was refused: its checkpoint is held from now on.

        Where it was none by the hub's key, the one held before stays. Raises ValueError when
        nothing is refused, JournalFull.
        """
        if not self.blocked:
            raise ValueError("nothing is refused: there is nothing to accept")
        size, root = self.size, self.root
        try:
            found = read(self.newest.shown, self._hub_key)
            size, root = found.size, found.root
        except LedgerForked:
            pass  # no checkpoint of this hub at all: what was seen before still holds
        self._write(Verdict.ALLOWED, size, root, self.newest.shown, reason)
        self.blocked = ""
        return self.newest

    def _check(self, found: Shown) -> None:
        if found.size < self.size:
            raise LedgerForked(
                f"the hub shows a ledger of {found.size} entries, and {self.size} were seen here: "
                "it was cut, or restored from an old backup, or an old checkpoint was replayed"
            )
        old, new = bytes.fromhex(self.root), bytes.fromhex(found.root)
        try:
            merkle.verify_consistency(self.size, old, found.size, new, found.proof)
        except merkle.ProofError as error:
            raise LedgerForked(
                f"the hub's ledger of {found.size} entries does not continue the {self.size} "
                f"seen here ({error}): what it wrote before was changed, or it was restored from "
                "an old backup and has written since"
            ) from error

    def _write(self, verdict: Verdict, size: int, root: str, shown: str, why: str) -> None:
        at = self._clock().astimezone(UTC).isoformat(timespec="seconds")
        row = Sighting(self.newest.number + 1, at, verdict, size, root, shown[:LONGEST], why)
        with translated(self._path):
            self._rows.execute(
                f"INSERT INTO sightings ({_NAMES}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                tuple(vars(row).values()),
            )
        self.newest = row

    def _newest(self) -> Sighting:
        with translated(self._path):
            row = self._rows.execute(
                f"SELECT {_NAMES} FROM sightings ORDER BY number DESC LIMIT 1"  # noqa: S608
            ).fetchone()
        return Sighting(*row) if row else _NOTHING


def read(shown: str | None, hub_key: str) -> Shown:
    """A checkpoint signed by `hub_key`, and its proof, as the hub sends them.

    Raises LedgerForked: missing, malformed, or by another key.
    """
    if not shown:
        raise LedgerForked("the hub shows no checkpoint of its ledger; an old or a changed hub")
    try:
        document = json.loads(shown)
        signed = SignedCheckpoint.from_json(document["checkpoint"])
        signed.verify(hub_key, verify)
        proof = tuple(bytes.fromhex(step) for step in document["consistency"])
    except CheckpointError as error:
        raise LedgerForked(f"the hub shows no checkpoint of its own: {error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LedgerForked("the hub's checkpoint or its proof cannot be read") from error
    return Shown(signed, proof)


def read_sightings(path: Path) -> tuple[Sighting, ...]:
    """Everything that was seen, oldest first, of a folder that a worker may be using."""
    with translated(path):
        rows = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            known = rows.execute("SELECT 1 FROM sqlite_master WHERE name = 'sightings'").fetchone()
            found: list[Any] = []
            if known:
                query = f"SELECT {_NAMES} FROM sightings ORDER BY number"  # noqa: S608
                found = rows.execute(query).fetchall()
        finally:
            rows.close()
    return tuple(Sighting(*row) for row in found)
