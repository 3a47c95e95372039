"""Appending rows to the ledger: the lock, the sequence, the chain, the tree, the running sums.

Nobody else inserts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from accounting.canonical import canonical_json, chained
from accounting.log.merkle import Frontier, leaf_hash
from accounting.models import Entry, EntryKind, LedgerHead
from accounting.services import sums

VERSION = 1
_HEAD = "SELECT size, digest, frontier FROM accounting_ledgerhead WHERE id = 1"
_MOVE = "UPDATE accounting_ledgerhead SET size = %s, digest = %s, frontier = %s WHERE id = 1"


@dataclass(frozen=True)
class Draft:
    """A row before it has its place in the chain; `facts` go into its body as they are.

    `ends` is the event of the reservation that it is the first to say something of, if it is.
    """

    kind: str
    idempotency_key: str
    study: str
    institution: str
    lineage: str
    round: int = 0
    attempt: int = 0
    phase: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    ends: dict[str, Any] | None = None


def lock() -> LedgerHead:
    """The head row, locked until the caller's transaction ends; every append waits for it here.

    SQLite has no row locks: its transactions are IMMEDIATE, which locks the whole file earlier.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("append to the ledger inside a transaction")
    head = _locked()
    if head is not None:
        return head
    LedgerHead.objects.get_or_create(pk=1)
    return _locked() or LedgerHead(pk=1)


def append(head: LedgerHead, drafts: Sequence[Draft], now: datetime) -> list[Entry]:
    """Chain and insert `drafts` after `head` (locked by the caller), in order.

    The head carries the roots that the next leaf may complete a subtree with, so no row is read.
    """
    if not drafts:
        return []
    tree, entries = frontier(head), []
    for draft in drafts:
        entry = _entry(draft, head.size + 1, head.digest, now)
        entry.subtrees = joined(tree.append(leaf_hash(entry.body.encode())))
        head.size, head.digest = entry.sequence, entry.digest
        entries.append(entry)
    head.frontier = joined(tree.roots)
    Entry.objects.bulk_create(entries)
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, [head.size, head.digest, head.frontier])
    sums.add(_counted(entries, drafts))
    return entries


def _counted(entries: Sequence[Entry], drafts: Sequence[Draft]) -> Iterator[sums.Counted]:
    """What the rows change in the running sums."""
    for entry, draft in zip(entries, drafts, strict=True):
        event = draft.facts["event"] if entry.steps else draft.ends
        if event:
            waiting = entry.steps if entry.kind == EntryKind.RESERVED else 0
            ended = draft.ends["steps"] if draft.ends else 0
            yield sums.place(entry, event), entry.steps, waiting - ended


def _locked() -> LedgerHead | None:
    """Plain SQL, as every append pays for it: building the query would cost more than asking."""
    locking = " FOR UPDATE" if connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(_HEAD + locking)
        found = cursor.fetchone()
    return found and LedgerHead(1, *found)


def frontier(head: LedgerHead) -> Frontier:
    """The tree of the head's entries. Raises ValueError where the head is damaged."""
    return Frontier(head.size, hashes(head.frontier))


def hashes(text: str) -> list[bytes]:
    """The hashes that `joined` wrote, 64 hex digits each."""
    return [bytes.fromhex(text[at : at + 64]) for at in range(0, len(text), 64)]


def joined(roots: Iterable[bytes]) -> str:
    """Hashes as the columns hold them."""
    return "".join(root.hex() for root in roots)


def columns(body: dict[str, Any]) -> dict[str, Any]:
    """The values that a row's columns repeat from its body; verification compares them."""
    event, sign = (
        body.get("event"),
        {"reserved": 1, "booked": 1, "aborted": -1}.get(body["kind"], 0),
    )
    repeated = {name: body[name] for name in _REPEATED}
    return repeated | {
        "noise_multiplier": event["noise_multiplier"] if event else "",
        "sample_rate": event["sample_rate"] if event else "",
        "rows_per_unit": event.get("rows_per_unit", 1) if event else 1,
        "steps": sign * event["steps"] if event else 0,
    }


_REPEATED = (
    "sequence",
    "kind",
    "study",
    "institution",
    "lineage",
    "round",
    "attempt",
    "phase",
    "idempotency_key",
)


def _entry(draft: Draft, sequence: int, previous: str, now: datetime) -> Entry:
    body = {
        "version": VERSION,
        "sequence": sequence,
        "at": now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "kind": str(draft.kind),
        "idempotency_key": draft.idempotency_key,
        "study": draft.study,
        "institution": draft.institution,
        "lineage": draft.lineage,
        "round": draft.round,
        "attempt": draft.attempt,
        "phase": draft.phase,
        **draft.facts,
    }
    text = canonical_json(body)
    return Entry(
        body=text, previous_digest=previous, digest=chained(previous, text), **columns(body)
    )
