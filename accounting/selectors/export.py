"""The ledger of one study as a document to take away: every entry with its body and digests."""

import json
from collections.abc import Iterable
from typing import Any

from accounting.canonical import canonical_json
from accounting.models import Entry

SCHEMA = "cloister-ledger/1"


def ledger_text(study: str, rows: Iterable[Entry] | None = None, *, complete: bool = True) -> str:
    """Canonical JSON of `rows` in ledger order (all of the study's when None).

    `complete` says whether these are all of the study's entries, or those one reader may see.
    """
    chosen = Entry.objects.filter(study=study) if rows is None else rows
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "study": study,
        "complete": complete,
        "entries": [_entry(row) for row in sorted(chosen, key=lambda row: row.sequence)],
    }
    return canonical_json(document)


def _entry(row: Entry) -> dict[str, Any]:
    return {
        "sequence": row.sequence,
        "previous_digest": row.previous_digest,
        "digest": row.digest,
        "body": _body(row.body),
    }


def _body(text: str) -> Any:
    """What a body says; the very text where somebody destroyed it: an export is evidence, too."""
    try:
        return json.loads(text)
    except ValueError:
        return text
