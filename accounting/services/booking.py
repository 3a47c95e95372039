"""Booking what only a site's signed journal proves: charges and releases the hub has no row of.

A hub that was restored from a backup forgot what its sites did since; a site whose journal was lost
may have charged a round twice. No budget is asked: it happened, and it counts for good.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import transaction

from accounting.contradictions import Place, Side, parsed, uncounted, unlisted
from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.models import (
    DatasetBudget,
    Entry,
    EntryKind,
    LedgerHead,
    SiteEntry,
    SiteStatement,
)
from accounting.selectors import commitments, histories, judging, spending
from accounting.selectors import reconciliation as books
from accounting.services import gate
from accounting.services.rows import Draft, append, lock
from studies.models import Event, Institution, Study
from studies.services import events

MOST_STEPS = 2**31 - 1
LONGEST_LINEAGE = 100
DELTA = 1e-5  # of the figure beside what belongs to no study and no budget that the hub knows
Row = Mapping[str, Any]  # of a site's journal


class Unbookable(ValueError):
    """What a journal says was charged can be composed with nothing; its study stays held."""


@dataclass(frozen=True)
class _Claim:
    """One row of a site's journal that is to be booked, and the charge that it is about."""

    house: Institution
    place: Place
    row: Row
    charge: Row

    @property
    def spends(self) -> bool:
        """Whether it is the charge itself, and not what left under it."""
        return self.row is self.charge

    @property
    def key(self) -> str:
        """Of its row in the ledger: each row of a journal is booked once."""
        study, number, attempt, phase = self.place
        where = f"{study}/{self.house.slug}/{number}.{attempt}/{phase}"
        return f"{where}/{EntryKind.BOOKED}/{self.row['digest']}"


@transaction.atomic
def book(house: Institution, places: Iterable[Place], *, now: datetime) -> list[Entry]:
    """Append what the house's told journals prove at `places` and the ledger does not have.

    Called again it appends nothing. What cannot be booked is left out: see `check`.
    """
    head = lock()
    written = [
        (claim, _append(head, claim, now))
        for place, sides in books.both_sides(house.slug, set(places)).items()
        for claim in _claims(house, place, *sides)
        if not _obstacle(claim)
    ]
    for claim, entry in written:
        if claim.spends:
            _tell(claim, entry)
    return [entry for _, entry in written]


def check(house: Institution, place: Place) -> None:
    """Return where everything at `place` is booked or can be. Raises Unbookable."""
    for sides in books.both_sides(house.slug, {place}).values():
        for claim in _claims(house, place, *sides):
            if obstacle := _obstacle(claim):
                raise Unbookable(obstacle)


def owing(sides: Mapping[Place, tuple[Side, Side]]) -> set[Place]:
    """The places at which something is to be booked."""
    return {place for place, pair in sides.items() if uncounted(*pair) or unlisted(*pair)}


def _claims(house: Institution, place: Place, hub: Side, site: Side) -> list[_Claim]:
    """Charges first: what left under one is listed once the charge is."""
    charges = uncounted(hub, site)
    hub.booked |= {row["digest"] for row in charges}
    by_assignment = {row["assignment"]: row for row in site.charges.values()}
    left = [(row, by_assignment.get(row["assignment"])) for row in unlisted(hub, site)]
    found = [_Claim(house, place, row, row) for row in charges]
    return found + [_Claim(house, place, row, charge) for row, charge in left if charge]


def _obstacle(claim: _Claim) -> str:
    """Why it cannot be booked, and what to do; empty where it can."""
    event, lineage = _event(claim.charge), claim.charge["lineage"]
    if event.steps > MOST_STEPS or not 0 < len(lineage) <= LONGEST_LINEAGE:
        return "the journal charges what no ledger holds; tell the operator, with the statement"
    where = (claim.house.slug, lineage)
    spent = histories.load([claim.house.slug])
    bound = spent.units.get(where, event.unit) if spent.touched(*where) else event.unit
    if bound != event.unit:
        return (
            f"the journal charges {lineage} per {event.unit}, where the ledger charges it per "
            f"{bound}; one is never composed with the other. End the study"
        )
    try:
        spent.add(claim.place[0], *where, event)
        epsilon(spent.study(claim.place[0], claim.house.slug), _delta(claim))
    except ValueError as error:  # Unbounded is one
        return f"what the journal charges has no ε: {error}. End the study"
    return ""


def _append(head: LedgerHead, claim: _Claim, now: datetime) -> Entry:
    lineage, facts = claim.charge["lineage"], _facts(claim)
    study, *where = claim.place
    draft = Draft(EntryKind.BOOKED, claim.key, study, claim.house.slug, lineage, *where, facts)
    return append(head, [draft], now)[0]


def _facts(claim: _Claim) -> dict[str, Any]:
    event, study, house = _event(claim.charge), claim.place[0], claim.house.slug
    spent = histories.load([house], study)
    if claim.spends:
        spent.add(study, house, claim.charge["lineage"], event)
    facts = {
        "protocol_digest": claim.charge["protocol_digest"],
        "reason": "the site's signed journal says so, and the hub had no row of it",
        "journal": {"sequence": claim.row["sequence"], "digest": claim.row["digest"]},
        "evidence": _evidence(house, claim.row),
        "figure": gate.figure_json(epsilon(spent.study(study, house), _delta(claim))),
    }
    if not claim.spends:
        return facts | {"tensors_digest": claim.row["tensors_digest"], "unit": event.unit}
    plans = commitments.standing([house], [study]).plans
    plan = plans.get((study, house, claim.charge["protocol_digest"]))
    whole = spent.merged_study(study, house).key()
    sealed = judging.within(whole, plan.steps if plan else judging.NO_PLAN)
    return facts | {"event": event.to_json(), "sealed": sealed, "checks": []}


def _event(charge: Row) -> PrivacyEvent:
    return PrivacyEvent.from_json(parsed(charge["event"]))


def _evidence(house: str, row: Row) -> str:
    """SHA-256 of the signed statement that told the row first."""
    entry = SiteEntry.objects.filter(institution=house, digest=row["digest"]).order_by("id")[0]
    statements = SiteStatement.objects.filter(
        institution=house, journal=entry.journal, sequence__gte=entry.sequence
    )
    return sha256(statements.order_by("id")[0].envelope.encode()).hexdigest()


def _delta(claim: _Claim) -> float:
    """The δ of the study's own limit, or of the dataset's budget."""
    rows = Entry.objects.filter(
        kind=EntryKind.SEALED, study=claim.place[0], institution=claim.house.slug
    )
    if sealed := rows.order_by("sequence").last():
        return float(parsed(sealed.body)["limit"]["delta"])
    budget = _budget(claim)
    return float(budget.delta) if budget else DELTA


def _budget(claim: _Claim) -> DatasetBudget | None:
    rows = DatasetBudget.objects.filter(institution=claim.house.slug)
    return rows.filter(lineage=claim.charge["lineage"]).first()


def _tell(claim: _Claim, entry: Entry) -> None:
    """That it was booked; and where a lifetime budget is passed by it, that it is exhausted."""
    events.record(
        "charge_booked",
        study=Study.objects.filter(slug=entry.study).first(),
        institution=claim.house,
        round=entry.round,
        attempt=entry.attempt,
        phase=entry.phase,
        entry=entry.sequence,
    )
    if budget := _budget(claim):
        _tell_exhausted(claim.house, budget)


def _tell_exhausted(house: Institution, budget: DatasetBudget) -> None:
    """Once for each limit that is passed."""
    about = {"what": f"dataset {budget.lineage}", "limit": budget.epsilon}
    told = Event.objects.filter(kind="budget_exhausted", institution=house)
    told = told.filter(payload__what=about["what"], payload__limit=about["limit"])
    if spending.remaining_of(budget).exhausted and not told.exists():
        events.record("budget_exhausted", institution=house, **about)
