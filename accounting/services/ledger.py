"""The ledger's one door for writing: seal, reserve, charge, release, and how each may end.

Every function runs in one transaction (the caller's where there is one) that holds the lock of
the head row; called twice with the same arguments it returns the same row and writes nothing.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounting import transitions
from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.keys import Key, Limit, Move, Reservation
from accounting.models import Entry, EntryKind
from accounting.refusals import (
    BudgetExceeded,
    Conflict,
    LedgerRefusal,
    MixedUnits,
    NoBound,
    NotLent,
    PlanExceeds,
)
from accounting.selectors import judging, told
from accounting.selectors.plain import select
from accounting.services import gate
from accounting.services.rows import Draft, append, lock
from accounting.transitions import IllegalTransition

__all__ = [
    "BudgetExceeded",
    "Conflict",
    "IllegalTransition",
    "Key",
    "LedgerRefusal",
    "Limit",
    "MixedUnits",
    "Move",
    "NoBound",
    "NotLent",
    "PlanExceeds",
    "Reservation",
    "charge",
    "record",
    "reserve_all",
    "seal",
    "warm",
]
_KEYS = "SELECT idempotency_key FROM accounting_entry WHERE sequence > 0"
_BACK = (EntryKind.ABORTED,)  # repeats the event that it gives back
_BINDING = ("lineage", "event", "protocol_digest", "tensors_digest", "model_digest")


@transaction.atomic
def seal(
    *,
    study: str,
    institution: str,
    lineage: str,
    plan_events: Iterable[PrivacyEvent | dict[str, Any]],
    protocol_digest: str,
    unit: str,
    study_limit: Limit,
    adaptive: bool = False,
    now: datetime | None = None,
) -> Entry:
    """Write a study's whole plan at one institution; once per protocol digest.

    Where its noise is chosen on the way (`adaptive`) the plan is empty, and what its own filter
    lets pass at most is committed instead.

    From here on it is committed: its room in the dataset's lifetime budget is nobody else's until
    the plan is returned (services/returning).

    Raises:
        PlanExceeds: the lifetime budget does not hold it beside what is spent and committed.
        NotLent, NoBound: a dataset without a lifetime budget, or with a loss without a bound.
        MixedUnits: a dataset that is charged for another privacy unit, or committed to one.
        Conflict: another plan was sealed under the same protocol digest.
        ValueError: an event that no accountant can price.
    """
    events = [_event(event) for event in plan_events]
    facts = {
        "protocol_digest": protocol_digest,
        "plan": [event.to_json() for event in events],
        "unit": unit,
        "limit": {"epsilon": repr(study_limit.epsilon), "delta": repr(study_limit.delta)},
        "figure": gate.figure_json(
            judging.whole_figure(study_limit) if adaptive else epsilon(events, study_limit.delta)
        ),
    }
    key = f"{study}/{institution}/sealed/{protocol_digest}"
    head = lock()
    draft = Draft(EntryKind.SEALED, key, study, institution, lineage, facts=facts)
    found = Entry.objects.filter(idempotency_key=key).first()
    if found is not None:
        return _same(found, draft)
    claim = judging.Claim(
        study, institution, lineage, unit, tuple(events), study_limit if adaptive else None
    )
    facts["filter_order"], check = gate.commit(claim)
    facts |= gate.bound_json(claim, facts["filter_order"])
    facts["checks"] = [check]
    return append(head, [draft], now or timezone.now())[0]


@transaction.atomic
def reserve_all(requests: Sequence[Reservation], *, now: datetime | None = None) -> list[Entry]:
    """Reserve all events or none: what a round does for its whole cohort. Charged from here on.

    Raises:
        BudgetExceeded: an event does not fit its study's or its dataset's budget.
        NotLent: a dataset without a lifetime budget.
        MixedUnits: a dataset that was charged for another privacy unit before.
        NoBound: a dataset that its site charged what cannot be counted.
        Conflict: a key that is already reserved for something else.
    """
    head = lock()
    names = [r.key.idempotency(EntryKind.RESERVED) for r in requests]
    found = _entries(names)
    wanted = dict(zip(names, requests, strict=True))
    fresh = [r for name, r in wanted.items() if name not in found]
    checked = gate.read(fresh)
    drafts = [_reservation(r, checked.admit(r)) for r in fresh]
    written = {e.idempotency_key: e for e in append(head, drafts, now or timezone.now())}
    # What was asked for once and written now is what was asked for; the rest is compared.
    sure = written if len(wanted) == len(requests) else {}
    every = found | written
    return [
        sure.get(name) or _same(every[name], _reservation(r, None))
        for name, r in zip(names, requests, strict=True)
    ]


def warm(requests: Sequence[Reservation]) -> None:
    """Derive ahead of time, without any lock, the figures that `reserve_all` will need.

    Figures are remembered per process: called while the sites train, it takes the accountant off
    the critical path of the next round. A refusal is left for `reserve_all` to raise.
    """
    checked = gate.read(requests)
    for request in requests:
        key = request.key
        checked.spent.add(key.study, key.institution, key.lineage, request.event)
        epsilon(checked.spent.study(key.study, key.institution), request.study_limit.delta)


def charge(key: Key, *, now: datetime | None = None) -> Entry:
    """The site has what it needs to access its data."""
    return record([Move(key, EntryKind.CHARGED, {})], now=now)[0]


@transaction.atomic
def record(moves: Sequence[Move], *, now: datetime | None = None) -> list[Entry]:
    """Append all moves or none, in order; several about one key may follow each other.

    What the site's journal was told to have charged is not given back, whoever asks: such a move
    is recorded as refused, and stays charged.

    Raises:
        IllegalTransition: a move that may not follow what the ledger says about its key.
        Conflict: the same move was recorded before with other digests.
    """
    head = lock()
    known = _about({move.key for move in moves})
    moves = _kept(moves, known)
    drafts: list[Draft] = []
    for move in moves:
        rows = known.setdefault(move.key.place, {})
        if move.kind in rows:
            _same(rows[move.kind], _moved(move, rows))
            continue
        evidence = move.facts.get("evidence", "")
        transitions.check(next(reversed(rows), ""), move.kind, str(move.key), evidence)
        drafts.append(_moved(move, rows))
        rows[move.kind] = drafts[-1]
    written = {e.idempotency_key: e for e in append(head, drafts, now or timezone.now())}
    return [_written(move, known, written) for move in moves]


Rows = dict[str, Entry | Draft]


def _kept(moves: Sequence[Move], known: dict[Any, Rows]) -> list[Move]:
    """The moves, but what would give back a charge that the site's journal says was made."""
    given = {m.key.place for m in moves if m.kind == EntryKind.ABORTED}
    given -= {place for place, rows in known.items() if EntryKind.ABORTED in rows}
    charged = told.charged(given) if given else set()
    kept: list[Move] = []
    for move in moves:
        if move.kind != EntryKind.ABORTED or move.key.place not in charged:
            kept.append(move)
            continue
        reason = f"not given back, the site's journal charged it: {move.facts['reason']}"
        refused = move.facts | {"reason": reason}
        kept += [Move(move.key, EntryKind.CHARGED, {}), Move(move.key, EntryKind.REFUSED, refused)]
    return kept


def _about(keys: set[Key]) -> dict[tuple[str, str, int, int, str], Rows]:
    """For each key its rows by kind, oldest first, in one query."""
    rows = Entry.objects.filter(
        study__in={k.study for k in keys},
        institution__in={k.institution for k in keys},
        round__in={k.round for k in keys},
    ).exclude(kind=EntryKind.BOOKED)  # which stands beside these lives
    wanted = {key.place for key in keys}
    found: dict[tuple[str, str, int, int, str], Rows] = {}
    for row in rows:
        place = (row.study, row.institution, row.round, row.attempt, row.phase)
        if place in wanted:
            found.setdefault(place, {})[row.kind] = row
    return found


def _written(move: Move, known: dict[Any, Rows], written: dict[str, Entry]) -> Entry:
    row = known[move.key.place][move.kind]
    return row if isinstance(row, Entry) else written[row.idempotency_key]


def _moved(move: Move, rows: Rows) -> Draft:
    key, facts = move.key, dict(move.facts)
    if EntryKind.RESERVED not in rows:
        return _keyed(key, move.kind, facts)
    first = len(rows) == 1
    event = _facts(rows[EntryKind.RESERVED])["event"] if first or move.kind in _BACK else None
    if move.kind in _BACK:
        facts["event"] = event
    return _keyed(key, move.kind, facts, ends=event if first else None)


def _reservation(request: Reservation, admission: gate.Admission | None) -> Draft:
    facts: dict[str, Any] = {
        "event": request.event.to_json(),
        "protocol_digest": request.protocol_digest,
    }
    if admission is not None:
        facts |= {
            "sealed": admission.sealed,
            "figure": gate.figure_json(admission.figure),
            "checks": list(admission.checks),
        }
    return _keyed(request.key, EntryKind.RESERVED, facts)


def _keyed(key: Key, kind: str, facts: dict[str, Any], ends: dict[str, Any] | None = None) -> Draft:
    return Draft(
        kind,
        key.idempotency(kind),
        key.study,
        key.institution,
        key.lineage,
        key.round,
        key.attempt,
        key.phase,
        facts,
        ends,
    )


def _same(found: Entry | Draft, again: Draft) -> Any:
    """Return `found`; raises Conflict where `again` binds the same key to something else."""
    before = _facts(found) | {"lineage": found.lineage}
    after = again.facts | {"lineage": again.lineage}
    for name in _BINDING:
        if name in after and before.get(name) != after[name]:
            raise Conflict(
                f"{again.idempotency_key} is in the ledger with another {name}; a retry with other "
                "data, model or parameters needs a new attempt, and is charged again"
            )
    return found


def _facts(row: Entry | Draft) -> dict[str, Any]:
    return json.loads(row.body) if isinstance(row, Entry) else row.facts


def _entries(keys: Sequence[str]) -> dict[str, Entry]:
    known = [row[0] for row in select(_KEYS, idempotency_key=keys)]  # nearly always none
    rows = Entry.objects.filter(idempotency_key__in=known) if known else ()
    return {row.idempotency_key: row for row in rows}


def _event(event: PrivacyEvent | dict[str, Any]) -> PrivacyEvent:
    return event if isinstance(event, PrivacyEvent) else PrivacyEvent.from_json(event)
