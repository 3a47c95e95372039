"""What the last verification says of each row on a page, and whether the row is still that one.

A verdict is about the entries of one moment; their Merkle root is kept with it. A row counts as
verified only while its present body is proved to be among them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from accounting.log.merkle import ProofError, leaf_hash, verify_inclusion
from accounting.models import Entry
from accounting.selectors import overview, tree
from accounting.selectors.overview import Line
from studies.models import Event


class Standing(Enum):
    """What is known of one row: a word, its colour, its icon, and the whole sentence."""

    VERIFIED = ("verified", "good", "check", "proved to be among the entries that were verified")
    WRONG = ("first wrong", "bad", "alert-triangle", "the first entry that does not follow")
    CHANGED = ("changed", "bad", "alert-triangle", "not the entry that was verified")
    AFTER = ("not judged", "wait", "circle-dashed", "it follows an entry that is wrong")
    NEW = ("not yet judged", "wait", "circle-dashed", "written after the last verification")

    def __init__(self, word: str, shape: str, icon: str, sentence: str) -> None:
        self.word, self.shape, self.icon, self.sentence = word, shape, icon, sentence


@dataclass(frozen=True)
class Judged(Line):
    """A line of the ledger with its verdict."""

    verdict: Standing


def lines(rows: Iterable[Entry]) -> list[Judged]:
    """Entries to read, each beside its verdict."""
    chosen = list(rows)
    found = _standings(chosen, overview.last_verdict())
    return [Judged(**vars(_line(row)), verdict=found[row.sequence]) for row in chosen]


def _line(row: Entry) -> Line:
    """The line of one entry; a body that somebody destroyed must not hide its own verdict."""
    try:
        return overview.lines([row])[0]
    except (ValueError, KeyError, TypeError, AttributeError):
        return Line(
            row, datetime.min.replace(tzinfo=UTC), "its body cannot be read", None, "", "", ""
        )


def _standings(rows: list[Entry], event: Event | None) -> dict[int, Standing]:
    about = event.payload if event else {}
    root, size = about.get("root", ""), about.get("entries", 0)
    sound = [row for row in rows if root and row.sequence <= size]
    proofs = _proofs(sound, size)
    return {row.sequence: _beyond(row, event) for row in rows} | {
        row.sequence: _within(row, size, root, proofs.get(row.sequence)) for row in sound
    }


def _beyond(row: Entry, event: Event | None) -> Standing:
    if event is None or event.kind == "ledger_verified":
        return Standing.NEW
    wrong = event.payload.get("first_wrong")
    return Standing.WRONG if row.sequence == wrong else Standing.AFTER


def _within(row: Entry, size: int, root: str, proof: list[str] | None) -> Standing:
    try:
        steps = [bytes.fromhex(step) for step in proof or ()]
        leaf = leaf_hash(row.body.encode())
        verify_inclusion(leaf, row.sequence - 1, size, steps, bytes.fromhex(root))
    except ProofError:
        return Standing.CHANGED
    return Standing.VERIFIED


def _proofs(rows: list[Entry], size: int) -> dict[int, list[str]]:
    """The stored proofs; none where what they need is missing, which no verified ledger lacks."""
    try:
        return tree.inclusions((row.sequence for row in rows), size)
    except tree.Damaged:
        return {}
