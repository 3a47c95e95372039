"""Taking over what a site states: its journal extends the hub's copy of it, or is not taken."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounting.canonical import GENESIS, canonical_json
from accounting.log import merkle
from accounting.models import LedgerCheckpoint, LedgerHead, SiteEntry, SiteStatement
from accounting.selectors import tree
from accounting.selectors.reconciliation import Copy
from federation.protocol import messages
from studies.models import Institution


class BadStatement(Exception):
    """The envelope is no statement of this site; nothing of it was kept."""


@dataclass(frozen=True)
class Told:
    """An opened statement with its envelope, as text for the auditor."""

    institution: Institution
    message: messages.Statement
    envelope: str


@dataclass(frozen=True)
class Kept:
    """What of it was new: rows, where the copy ends now, and whether the ledgers agree."""

    fresh: tuple[dict[str, Any], ...]
    sequence: int
    agreed: bool
    news: bool  # rows or a checkpoint that were not known before


def opened(institution: Institution, envelope: bytes) -> Told:
    """Check signature, form, chain and sender. Raises BadStatement."""
    try:
        message = messages.open_envelope(envelope, institution.site_key, messages.Statement)
    except messages.MessageError as error:
        raise BadStatement(str(error)) from error
    if message.site != institution.slug:
        raise BadStatement("the statement is another site's")
    return Told(institution, message, envelope.decode())


def late(copy: Copy, message: messages.Statement) -> bool:
    """Whether it is an older statement of the same journal: ends earlier, was stated earlier.

    The site's own clock orders its statements; requests older than a minute are refused anyway.
    """
    if copy.stated_at is None or message.journal["sequence"] >= copy.sequence:
        return False
    return not _contradicted(copy, message) and (
        messages.moment(message.stated_at) <= copy.stated_at
    )


def continues(copy: Copy, message: messages.Statement) -> bool:
    """Whether nothing that was told before is told otherwise, or left out, now."""
    return message.journal["sequence"] >= copy.sequence and not _contradicted(copy, message)


def keep(told: Told, copy: Copy, now: datetime) -> Kept:
    """Store the rows after the copy's end; none where they begin beyond it."""
    message = told.message
    fresh = tuple(row for row in message.entries if row["sequence"] > copy.sequence)
    agreed = _agrees(message.checkpoint)
    if fresh and fresh[0]["sequence"] != copy.sequence + 1:
        return Kept((), copy.sequence, agreed, news=False)
    slug = told.institution.slug
    SiteEntry.objects.bulk_create(_entry(slug, copy.journal, row) for row in fresh)
    news = bool(fresh) or _saw_more(copy, message)
    if news:
        _statement(told, copy, fresh, agreed, now).save()
    return Kept(fresh, fresh[-1]["sequence"] if fresh else copy.sequence, agreed, news)


def _contradicted(copy: Copy, message: messages.Statement) -> bool:
    """Whether a digest that it states is another one in the hub's copy."""
    claims = {row["sequence"]: row["digest"] for row in message.entries}
    claims[message.journal["sequence"]] = message.journal["digest"]
    if message.entries:
        claims[message.first - 1] = message.entries[0]["previous_digest"]
    known = _digests(copy, message.site, claims) | {0: GENESIS}
    return any(digest != known.get(number, digest) for number, digest in claims.items())


def _digests(copy: Copy, slug: str, sequences: Iterable[int]) -> dict[int, str]:
    rows = SiteEntry.objects.filter(
        institution=slug, journal=copy.journal, sequence__in=list(sequences)
    )
    return dict(rows.values_list("sequence", "digest"))


def _agrees(checkpoint: dict[str, Any]) -> bool:
    """Whether the ledger has, or had, that root at that size."""
    size, root = checkpoint["size"], checkpoint["root"]
    if size == 0:
        return bool(root == merkle.EMPTY_ROOT.hex())
    signed = LedgerCheckpoint.objects.filter(size=size).values_list("root", flat=True).first()
    if signed is not None and signed != root:
        return False
    head = LedgerHead.objects.filter(pk=1).first()
    return head is not None and size <= head.size and _root(size) == root


def _root(size: int) -> str:
    try:
        return tree.root(size)
    except tree.Damaged:
        return ""


def _saw_more(copy: Copy, message: messages.Statement) -> bool:
    seen = (message.checkpoint["size"], message.checkpoint["root"])
    return copy.last is None or (copy.last.checkpoint_size, copy.last.checkpoint_root) != seen


def _statement(
    told: Told, copy: Copy, fresh: Sequence[dict[str, Any]], agreed: bool, now: datetime
) -> SiteStatement:
    message = told.message
    sequence, head = copy.sequence, copy.digest
    if fresh:
        sequence, head = fresh[-1]["sequence"], fresh[-1]["digest"]
    return SiteStatement(
        institution=told.institution.slug,
        journal=copy.journal,
        sequence=sequence,
        head=head,
        complete=sequence == message.journal["sequence"],
        checkpoint_size=message.checkpoint["size"],
        checkpoint_root=message.checkpoint["root"],
        agreed=agreed,
        key=told.institution.site_key,
        envelope=told.envelope,
        stated_at=messages.moment(message.stated_at),
        received_at=now,
    )


def _entry(slug: str, journal: int, row: dict[str, Any]) -> SiteEntry:
    repeated = ("sequence", "kind", "study", "round", "attempt", "phase", "assignment", "lineage")
    return SiteEntry(
        institution=slug,
        journal=journal,
        body=canonical_json(row),
        digest=row["digest"],
        **{name: row[name] for name in repeated},
    )
