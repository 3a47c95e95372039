"""What an auditor takes away: entries, signed checkpoints, proofs, the sites' words and a report.

The stand-alone verifier (accounting/verifier) needs nothing else. Bodies stand in it as the very
text that was hashed. docs/accounting.md, "The log", describes the format. It is written piece by
piece, so that a ledger of any length takes the memory of a few hundred entries.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models import QuerySet

from accounting.canonical import canonical_json
from accounting.models import Entry, LedgerCheckpoint
from accounting.selectors import tree

SCHEMA = "cloister-bundle/1"
NEWEST = 50  # checkpoints in a bundle of some entries; a complete one holds all
AT_ONCE = 500  # entries in one piece
_COLUMNS = ("sequence", "previous_digest", "digest", "body")


class NoCheckpoint(LookupError):
    """Nothing was signed yet: issue a checkpoint first (services.checkpoints.issue)."""


def pieces(
    rows: QuerySet[Entry] | None = None,
    *,
    scope: dict[str, Any],
    witnesses: Sequence[dict[str, Any]] = (),
    report: dict[str, Any] | None = None,
) -> Iterator[str]:
    """Canonical JSON of the bundle of `rows` up to the newest checkpoint; of all when None.

    Entries are only ever added, so those up to a checkpoint are the same however long it takes.

    Raises, before the first piece:
        NoCheckpoint: none was issued.
        tree.Damaged: an entry that a proof needs is missing.
    """
    checkpoints = _checkpoints(complete=rows is None)
    if not checkpoints:
        raise NoCheckpoint("the ledger was never signed: issue a checkpoint first")
    size = checkpoints[-1].size
    tree.check_whole(size)
    around = canonical_json(
        {
            "schema": SCHEMA,
            "hub_key": checkpoints[-1].key,
            "complete": rows is None,
            "scope": scope,
            "entries": [],
            "checkpoints": [tree.word(row).to_json() for row in checkpoints],
            "consistency": _growth([row.size for row in checkpoints]),
            "witnesses": list(witnesses),
            "report": report,
        }
    )
    before, found, after = around.partition(',"entries":[')
    return _flow(before + found, _entries(rows, size), after)


def _flow(before: str, entries: Iterator[list[dict[str, Any]]], after: str) -> Iterator[str]:
    yield before
    comma = ""
    for some in entries:
        yield comma + canonical_json(some)[1:-1]
        comma = ","
    yield after


def _checkpoints(*, complete: bool) -> list[LedgerCheckpoint]:
    rows = LedgerCheckpoint.objects.order_by("-size")
    return list(reversed(rows if complete else rows[:NEWEST]))


def _entries(rows: QuerySet[Entry] | None, size: int) -> Iterator[list[dict[str, Any]]]:
    """The entries in order, some at a time; each with its proof where they are not all."""
    chosen = range(1, size + 1) if rows is None else _sequences(rows, size)
    for first in range(0, len(chosen), AT_ONCE):
        found = Entry.objects.filter(sequence__in=list(chosen[first : first + AT_ONCE]))
        some = list(found.order_by("sequence").values(*_COLUMNS))
        yield some if rows is None else _proved(some, size)


def _sequences(rows: QuerySet[Entry], size: int) -> Sequence[int]:
    """Which entries they are, eight bytes each: asked once, however the query finds them."""
    found = rows.filter(sequence__lte=size).order_by("sequence")
    return array("q", found.values_list("sequence", flat=True).iterator(chunk_size=AT_ONCE))


def _proved(some: list[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    proofs = tree.inclusions((row["sequence"] for row in some), size)
    return [row | {"inclusion": proofs[row["sequence"]]} for row in some]


def _growth(sizes: list[int]) -> list[dict[str, Any]]:
    proofs = tree.consistencies(sizes)
    return [
        {"from": old, "to": new, "proof": proof}
        for old, new, proof in zip(sizes, sizes[1:], proofs, strict=False)
    ]
