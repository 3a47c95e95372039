"""Verifying the ledger: the chain, the transitions, the budgets and every ε, from nothing.

A consistent chain can still record nonsense, so the accountant is replayed: whoever changes an ε
and hashes everything again is found out all the same.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from accounting.canonical import GENESIS, canonical_json, chained
from accounting.models import DatasetBudget, Entry, LedgerHead
from accounting.services.replay import Replay, Wrong
from accounting.services.rows import columns


@dataclass(frozen=True)
class Verdict:
    """`first_wrong` is the sequence of the first wrong row; None with a problem: the head is."""

    ok: bool
    entries: int
    head: str
    first_wrong: int | None = None
    problem: str = ""

    def sentence(self) -> str:
        """One clear sentence for people."""
        if self.ok:
            return (
                f"ledger verified: {self.entries} entries, head {self.head[:12]}; every digest, "
                "transition, budget and ε was derived again and agrees"
            )
        if self.first_wrong is None:
            return f"ledger broken: {self.problem}"
        return f"ledger broken at entry {self.first_wrong}: {self.problem}"

    def to_json(self) -> dict[str, Any]:
        """The verdict with its sentence."""
        return asdict(self) | {"sentence": self.sentence()}


def verify() -> Verdict:
    """Read the whole ledger once, in order, and judge it. Writes nothing."""
    return judge(Entry.objects.order_by("sequence", "pk").iterator(chunk_size=1000))


def judge(rows: Iterable[Entry]) -> Verdict:
    """Judge `rows`, which must be the whole ledger in order, against head and budgets."""
    replay, previous, size = Replay(), GENESIS, 0
    for row in rows:
        try:
            _check_row(row, size + 1, previous, replay)
        except Wrong as wrong:
            return Verdict(False, size, previous, size + 1, str(wrong))
        previous, size = row.digest, size + 1
    try:
        _check_end(size, previous, replay)
    except Wrong as wrong:
        return Verdict(False, size, previous, None, str(wrong))
    return Verdict(True, size, previous)


def _check_row(row: Entry, sequence: int, previous: str, replay: Replay) -> None:
    if row.sequence != sequence:
        raise Wrong(f"expected entry {sequence}, found entry {row.sequence}: rows are missing")
    if row.previous_digest != previous:
        raise Wrong("the digest of the entry before it does not match: rows changed or moved")
    if row.digest != chained(previous, row.body):
        raise Wrong("its digest is not the SHA-256 of its body: the entry was changed")
    body = _body(row.body)
    _check_columns(row, body)
    replay.step(body)


def _body(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise Wrong("its body is not JSON") from error
    if not isinstance(body, dict) or canonical_json(body) != text:
        raise Wrong("its body is not canonical JSON")
    return body


def _check_columns(row: Entry, body: dict[str, Any]) -> None:
    try:
        expected = columns(body)
    except (KeyError, TypeError) as error:
        raise Wrong(f"its body lacks {error}") from error
    for name, value in expected.items():
        if getattr(row, name) != value:
            raise Wrong(f"its column {name} says {getattr(row, name)!r}, its body {value!r}")


def _check_end(size: int, last: str, replay: Replay) -> None:
    head = LedgerHead.objects.filter(pk=1).first() or LedgerHead()
    if head.size != size:
        raise Wrong(f"the head says {head.size} entries, the ledger has {size}: its end was cut")
    if head.digest != last:
        raise Wrong("the head's digest is not that of the last entry")
    rows = {(b.institution, b.lineage): b for b in DatasetBudget.objects.all()}
    for place in sorted(rows.keys() | replay.budgets.keys()):
        row, declared = rows.get(place), replay.budgets.get(place)
        found = (row.epsilon, row.delta) if row else None
        if found != declared:
            raise Wrong(
                f"the lifetime budget of {place[1]} at {place[0]} is {found}, but the ledger "
                f"declared {declared} (ε, δ)"
            )
