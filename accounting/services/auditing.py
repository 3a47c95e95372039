"""The ledger's rows of an empirical audit: coins committed to before training, revealed after it.

Both are rows without a price. What the audit showed stands in the revealed row, so that it is
chained, verified and reported with everything else.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounting.dp.accountants import epsilon
from accounting.dp.audit import METHOD, Measured
from accounting.dp.figures import Figure
from accounting.models import Entry, EntryKind
from accounting.refusals import Conflict
from accounting.selectors import histories
from accounting.services import gate
from accounting.services.rows import Draft, append, lock


@dataclass(frozen=True)
class Place:
    """One institution's audit in one study, under one protocol."""

    study: str
    institution: str
    lineage: str
    protocol_digest: str

    def idempotency(self, kind: str) -> str:
        """The unique text under which a row of `kind` may stand once."""
        return f"{self.study}/{self.institution}/{kind}/{self.protocol_digest}"


@transaction.atomic
def commit(place: Place, commitment: str, *, now: datetime | None = None) -> Entry:
    """Write that the site is bound to its coins. Raises Conflict for another commitment, or a
    late one: training was reserved before it."""
    return _append(
        EntryKind.COMMITTED, place, {"commitment": commitment}, must_precede=True, now=now
    )


@transaction.atomic
def reveal(
    place: Place,
    *,
    coins: str,
    salt: str,
    result: dict[str, Any],
    now: datetime | None = None,
) -> Entry:
    """Write the coins, and what they show. Raises Conflict where nothing was committed to."""
    bound = commitment(place)
    if bound is None:
        raise Conflict(f"{place.institution} committed to no coins in {place.study}")
    facts = {"commitment": bound, "coins": coins, "salt": salt, "result": result}
    return _append(EntryKind.REVEALED, place, facts, must_precede=False, now=now)


@transaction.atomic
def reveal_together(
    study: str,
    protocol_digest: str,
    *,
    institutions: Sequence[str],
    result: dict[str, Any],
    now: datetime | None = None,
) -> Entry:
    """Write what the coins of several institutions show together, after each of them revealed."""
    place = Place(study, "", "", protocol_digest)
    facts = {"institutions": sorted(institutions), "result": result}
    return _append(EntryKind.REVEALED, place, facts, must_precede=False, now=now)


def commitment(place: Place) -> str | None:
    """What the site is bound to, hexadecimal; None where it never committed."""
    row = Entry.objects.filter(idempotency_key=place.idempotency(EntryKind.COMMITTED)).first()
    return None if row is None else json.loads(row.body)["commitment"]


def began(study: str, institution: str) -> bool:
    """Whether anything was ever reserved for the study at the institution, or booked of it."""
    spends = (EntryKind.RESERVED, EntryKind.BOOKED)
    rows = Entry.objects.filter(study=study, institution=institution, kind__in=spends)
    return rows.exists()


def spent(place: Place, delta: float) -> Figure:
    """The ε at `delta` of everything that the study reserved at the institution."""
    history = histories.load([place.institution], place.study)
    return epsilon(history.study(place.study, place.institution), delta)


def result_json(measured: Measured, figure: Figure) -> dict[str, Any]:
    """What an audit showed, beside the ε that the ledger derives at the same δ."""
    return {
        "method": METHOD,
        "canaries": measured.canaries,
        "guesses": measured.guesses,
        "correct": measured.correct,
        "tried": measured.tried,
        "confidence": repr(measured.confidence),
        "lower": repr(measured.lower),
        "figure": gate.figure_json(figure),
    }


def _append(
    kind: str, place: Place, facts: dict[str, Any], *, must_precede: bool, now: datetime | None
) -> Entry:
    where = asdict(place)
    facts = {"protocol_digest": where.pop("protocol_digest")} | facts
    draft = Draft(kind, place.idempotency(kind), **where, facts=facts)
    head = lock()
    found = Entry.objects.filter(idempotency_key=draft.idempotency_key).first()
    if found is not None:
        return _same(found, facts)
    if must_precede and began(place.study, place.institution):
        raise Conflict(
            f"{draft.idempotency_key}: training was reserved before the commitment came, so it "
            "binds nothing; this institution is not audited in this study"
        )
    return append(head, [draft], now or timezone.now())[0]


def _same(found: Entry, facts: dict[str, Any]) -> Entry:
    body = json.loads(found.body)
    if any(body.get(name) != value for name, value in facts.items()):
        raise Conflict(f"{found.idempotency_key} is in the ledger with other facts; it stands")
    return found
