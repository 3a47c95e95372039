"""Section 11 of the report: what binds it to the ledger, and how anybody can check that."""

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accounting.models import EntryKind
from accounting.reports.trail import Trail
from studies.models import Event

COMMAND = "python manage.py verify_ledger"
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("accounting", "federation", "studies", "config")


def section(found: Trail) -> dict[str, Any]:
    """The chain's digest at the last entry in scope: it commits to every entry before it."""
    charged = [deed.rows.values() for deed in found.deeds if EntryKind.CHARGED in deed.rows]
    return {
        "entries_in_scope": found.size,
        "ledger_head": {
            "entry": found.last["sequence"] if found.last else 0,
            "sha256": found.digest or "the ledger holds nothing about this scope yet",
        },
        "chain": "SHA-256(previous digest ‖ canonical JSON of the entry, RFC 8785)",
        "merkle_root": "none: a hash chain is kept, no tree yet",
        "witnesses": {
            "charged_entries": len(charged),
            "with_the_sites_own_journal_entry": sum(
                any("journal" in body for body in rows) for rows in charged
            ),
        },
        "last_verified": _last_verified(),
        "verify_with": COMMAND,
    }


def software() -> dict[str, str]:
    """What computed this report."""
    return {
        "name": "Cloister",
        "build": build_digest(),
        "python": platform.python_version(),
        "dp_accounting": version("dp_accounting"),
    }


@cache
def build_digest() -> str:
    """SHA-256 over the hub's own Python sources: (path, NUL, content, NUL) in order of path."""
    total = hashlib.sha256()
    files = [file for name in PACKAGES for file in (ROOT / name).rglob("*.py")]
    for file in sorted(files, key=lambda file: file.relative_to(ROOT).as_posix()):
        path = file.relative_to(ROOT).as_posix().encode()
        total.update(path + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def _last_verified() -> Any:
    event = Event.objects.filter(kind="ledger_verified").last()
    if event is None:
        return "not yet by a person in this installation"
    return {
        "at": event.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "by": event.by.username if event.by else "",
        "entries": event.payload.get("entries", 0),
        "sha256": event.payload.get("head", ""),
    }
