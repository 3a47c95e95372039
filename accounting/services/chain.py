"""What makes one row of the ledger whole: its place, digest, canonical body, columns and subtrees.

No row is believed for what it says of itself: everything is derived again from the bodies alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from accounting.canonical import GENESIS, canonical_value, chained
from accounting.log.merkle import Frontier, leaf_hash
from accounting.models import Entry
from accounting.services.replay import Wrong
from accounting.services.rows import VERSION, columns, joined


class Row(NamedTuple):
    """An entry as it stands in the database; the columns that repeat the body come first."""

    sequence: int
    kind: str
    study: str
    institution: str
    lineage: str
    round: int
    attempt: int
    phase: str
    idempotency_key: str
    noise_multiplier: str
    sample_rate: str
    rows_per_unit: int
    steps: int
    body: str
    previous_digest: str
    digest: str
    subtrees: str


_REPEATED = Row._fields.index("body")


def stored() -> Iterator[Row]:
    """The whole ledger in order, a few rows at a time."""
    rows = Entry.objects.order_by("sequence", "pk").values_list(*Row._fields)
    return map(Row._make, rows.iterator(chunk_size=2000))


@dataclass(frozen=True)
class Chain:
    """The chain and the tree over the rows taken so far."""

    digest: str = GENESIS
    tree: Frontier = field(default_factory=Frontier)

    @property
    def size(self) -> int:
        """How many rows."""
        return self.tree.size

    def after(self, row: Row) -> tuple["Chain", dict[str, Any]]:
        """Check the next row against all before it; the chain with it, and its body.

        Raises:
            Wrong: what is wrong with the row.
        """
        if row.sequence != self.size + 1:
            raise Wrong(
                f"expected entry {self.size + 1}, found entry {row.sequence}: rows are missing"
            )
        if row.previous_digest != self.digest:
            raise Wrong("the digest of the entry before it does not match: rows changed or moved")
        if row.digest != chained(self.digest, row.body):
            raise Wrong("its digest is not the SHA-256 of its body: the entry was changed")
        body = _body(row)
        grown = Frontier(self.size, list(self.tree.roots))
        if row.subtrees != joined(grown.append(leaf_hash(row.body.encode()))):
            raise Wrong("its Merkle subtrees are not those of the entries up to it")
        return Chain(row.digest, grown), body


def _body(row: Row) -> dict[str, Any]:
    try:
        body = canonical_value(row.body)
    except (ValueError, RecursionError) as error:
        raise Wrong("its body is not canonical JSON") from error
    if not isinstance(body, dict):
        raise Wrong("its body is not a JSON object")
    try:
        expected = columns(body)
    except (KeyError, TypeError, AttributeError) as error:
        raise Wrong(f"its body lacks {error}") from error
    if tuple(expected.values()) != row[:_REPEATED]:
        _differ(row, expected)
    if body.get("version") != VERSION:
        raise Wrong(f"it is written in format {body.get('version')!r}, which is not known here")
    return body


def _differ(row: Row, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        if getattr(row, name) != value:
            raise Wrong(f"its column {name} says {getattr(row, name)!r}, its body {value!r}")
