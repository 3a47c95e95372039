"""Section 11 of the report: what binds it to the ledger, and how anybody can check that."""

import hashlib
import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accounting.log.checkpoints import SignedCheckpoint
from accounting.models import EntryKind
from accounting.reports.trail import Trail
from accounting.selectors import tree
from accounting.selectors.reconciliation import State
from studies.models import Event

COMMANDS = (
    "python cloister_verify.py bundle.json",
    "python manage.py verify_ledger",
)
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("accounting", "federation", "studies", "config")
NOT_SIGNED = "none: a preview is not bound to a signed checkpoint; an issued report is"


def section(
    found: Trail, states: Iterable[State] = (), checkpoint: SignedCheckpoint | None = None
) -> dict[str, Any]:
    """The last entry in scope, the tree that it ends, and the hub's signed word for it.

    `states` tells how the sites' own journals agree; `checkpoint` must cover the last entry. The
    chain's digest and the tree's root at that entry both commit to every entry before it.
    """
    charged = [deed.rows.values() for deed in found.deeds if EntryKind.CHARGED in deed.rows]
    return {
        "entries_in_scope": found.size,
        "ledger_head": _head(found),
        "chain": "SHA-256(previous digest ‖ canonical JSON of the entry, RFC 8785)",
        "tree": "SHA-256 Merkle tree over these entries, RFC 6962",
        "checkpoint": checkpoint.to_json() if checkpoint else NOT_SIGNED,
        "inclusion": _inclusion(found, checkpoint),
        "consistency": None,
        "witnesses": {
            "charged_entries": len(charged),
            "with_the_sites_own_journal_entry": sum(
                any("journal" in body for body in rows) for rows in charged
            ),
            "institutions": [_witness(state, signed=checkpoint is not None) for state in states],
        },
        "last_verified": _last_verified(),
        "verify_with": list(COMMANDS),
    }


def grown(before: Any, after: Any) -> dict[str, Any] | None:
    """The proof that the ledger of an earlier report's checkpoint is the beginning of this one's.

    None where either has no checkpoint.
    """
    if not isinstance(before, dict) or not isinstance(after, dict):
        return None
    proof = tree.consistency(before["size"], after["size"])
    return {"from": before["size"], "to": after["size"], "proof": proof}


def _witness(state: State, *, signed: bool) -> dict[str, Any]:
    """What a site's journal says; its newest statement changes by the minute, so issued only."""
    last = state.copy.last if signed else None
    return {
        "institution": state.institution.slug,
        "verdict": state.verdict,
        "differences": state.differences,
        "statement": last
        and {
            "journal_entries": state.copy.sequence,
            "journal_head": state.copy.digest,
            "ledger_entries": last.checkpoint_size,
            "ledger_root": last.checkpoint_root,
            "received_at": last.received_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        },
    }


def _head(found: Trail) -> dict[str, Any]:
    if found.last is None:
        nothing = "the ledger holds nothing about this scope yet"
        return {"entry": 0, "sha256": nothing, "root": nothing}
    number = found.last["sequence"]
    return {"entry": number, "sha256": found.digest, "root": tree.root(number)}


def _inclusion(found: Trail, checkpoint: SignedCheckpoint | None) -> dict[str, Any] | None:
    if checkpoint is None or found.last is None:
        return None
    number, size = found.last["sequence"], checkpoint.checkpoint.size
    return {"entry": number, "size": size, "proof": tree.inclusion(number, size)}


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
