"""Signing the ledger's present head, on demand: never a smaller one, never two roots for a size."""

from datetime import UTC, datetime

from django.db import transaction
from django.utils import timezone

from accounting.log.checkpoints import Checkpoint, SignedCheckpoint, origin, signed
from accounting.models import LedgerCheckpoint, LedgerHead
from accounting.selectors import tree
from accounting.services import rows
from accounting.services.hub_key import hub_key


class LedgerRewritten(Exception):
    """The ledger is not the one that was signed before: nothing more is signed."""


def issue(*, now: datetime | None = None) -> SignedCheckpoint:
    """The signed checkpoint of the whole ledger: the last one again if nothing was appended.

    Not inside another transaction: a signature that was handed out must not be rolled back.

    Raises:
        LedgerRewritten: the ledger was cut, or rewritten, since the last checkpoint.
    """
    head = LedgerHead.objects.filter(pk=1).first() or LedgerHead()
    last = latest()
    if last is not None and (last.size, last.root) == (head.size, rows.frontier(head).root().hex()):
        return tree.word(last)
    return _issue(now or timezone.now())


def latest() -> LedgerCheckpoint | None:
    """The newest checkpoint that was signed."""
    return LedgerCheckpoint.objects.order_by("size").last()


@transaction.atomic(durable=True)
def _issue(now: datetime) -> SignedCheckpoint:
    head, last = rows.lock(), latest()
    root = rows.frontier(head).root()
    if last is not None:
        _check_grown(head, root, last)
        if last.size == head.size:
            return tree.word(last)
    key = hub_key()
    at = now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    note = signed(Checkpoint(origin(key.public), head.size, root.hex(), at), key)
    LedgerCheckpoint.objects.create(
        size=head.size, root=root.hex(), at=at, key=note.key, signature=note.signature
    )
    return note


def _check_grown(head: LedgerHead, root: bytes, last: LedgerCheckpoint) -> None:
    if head.size < last.size:
        raise LedgerRewritten(
            f"the ledger has {head.size} entries, and its checkpoint of {last.size} is signed: its "
            "end was cut. Restore the newest backup; the sites hold the same checkpoint"
        )
    if (_stored_root(last.size), _stored_root(head.size)) != (last.root, root.hex()):
        raise LedgerRewritten(
            f"the entries up to {head.size} do not have the root that was signed at {last.size}: "
            "they were rewritten. Run manage.py verify_ledger and restore what it names"
        )


def _stored_root(size: int) -> str:
    try:
        return tree.root(size)
    except tree.Damaged as error:
        raise LedgerRewritten(str(error)) from error
