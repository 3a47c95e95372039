"""What an auditor takes away: entries, signed checkpoints, proofs, the sites' words and a report.

The stand-alone verifier (accounting/verifier) needs nothing else. Bodies stand in it as the very
text that was hashed. docs/accounting.md, "The log", describes the format.
"""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from accounting.canonical import canonical_json
from accounting.models import Entry, LedgerCheckpoint
from accounting.selectors import tree

SCHEMA = "cloister-bundle/1"
NEWEST = 50  # checkpoints in a bundle of some entries; a complete one holds all
_COLUMNS = ("sequence", "previous_digest", "digest", "body")


class NoCheckpoint(LookupError):
    """Nothing was signed yet: issue a checkpoint first (services.checkpoints.issue)."""


def text(
    rows: QuerySet[Entry] | None = None,
    *,
    scope: dict[str, Any],
    witnesses: Sequence[dict[str, Any]] = (),
    report: dict[str, Any] | None = None,
) -> str:
    """Canonical JSON of `document`."""
    return canonical_json(document(rows, scope=scope, witnesses=witnesses, report=report))


def document(
    rows: QuerySet[Entry] | None = None,
    *,
    scope: dict[str, Any],
    witnesses: Sequence[dict[str, Any]] = (),
    report: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The bundle of `rows` up to the newest checkpoint; of the whole ledger when None.

    Raises:
        NoCheckpoint: none was issued.
        tree.Damaged: an entry that a proof needs is missing.
    """
    checkpoints = _checkpoints(complete=rows is None)
    if not checkpoints:
        raise NoCheckpoint("the ledger was never signed: issue a checkpoint first")
    size = checkpoints[-1].size
    return {
        "schema": SCHEMA,
        "hub_key": checkpoints[-1].key,
        "complete": rows is None,
        "scope": scope,
        "entries": _all(size) if rows is None else _some(rows, size),
        "checkpoints": [tree.word(row).to_json() for row in checkpoints],
        "consistency": _growth([row.size for row in checkpoints]),
        "witnesses": list(witnesses),
        "report": report,
    }


def _checkpoints(*, complete: bool) -> list[LedgerCheckpoint]:
    rows = LedgerCheckpoint.objects.order_by("-size")
    return list(reversed(rows if complete else rows[:NEWEST]))


def _all(size: int) -> list[dict[str, Any]]:
    rows = Entry.objects.filter(sequence__lte=size).order_by("sequence").values(*_COLUMNS)
    return list(rows.iterator(chunk_size=1000))


def _some(rows: QuerySet[Entry], size: int) -> list[dict[str, Any]]:
    chosen = list(rows.filter(sequence__lte=size).order_by("sequence").values(*_COLUMNS))
    proofs = tree.inclusions((row["sequence"] for row in chosen), size)
    return [row | {"inclusion": proofs[row["sequence"]]} for row in chosen]


def _growth(sizes: list[int]) -> list[dict[str, Any]]:
    proofs = tree.consistencies(sizes)
    return [
        {"from": old, "to": new, "proof": proof}
        for old, new, proof in zip(sizes, sizes[1:], proofs, strict=False)
    ]
