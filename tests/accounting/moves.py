"""How the life of one reservation goes on, a row at a time; the hub records many at once."""

from typing import Any

from accounting.keys import Key, Move
from accounting.models import Entry, EntryKind
from accounting.services.ledger import record


def _moved(key: Key, kind: str, **facts: Any) -> Entry:
    return record([Move(key, kind, facts)])[0]


def charge(key: Key, journal: dict[str, Any]) -> Entry:
    """The site accessed its data; `journal` is the place in its journal that says so."""
    return _moved(key, EntryKind.CHARGED, journal=journal)


def release(key: Key, tensors_digest: str) -> Entry:
    return _moved(key, EntryKind.RELEASED, tensors_digest=tensors_digest)


def acknowledge(key: Key, model_digest: str) -> Entry:
    return _moved(key, EntryKind.ACKNOWLEDGED, model_digest=model_digest)


def lose(key: Key, reason: str) -> Entry:
    return _moved(key, EntryKind.LOST, reason=reason)


def refuse(key: Key, reason: str) -> Entry:
    return _moved(key, EntryKind.REFUSED, reason=reason)


def abort(key: Key, reason: str, **evidence: str) -> Entry:
    """Never computed; `evidence` is the digest of the site's own word, where it was taken."""
    return _moved(key, EntryKind.ABORTED, reason=reason, **evidence)
