"""Booking what only a site's signed journal proves: charges and releases the hub has no row of.

A hub that was restored from a backup forgot what its sites did since; a site whose journal was lost
may have charged a round twice. No budget is asked: it happened, and it counts for good.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import transaction

from accounting.contradictions import Place, Side, uncounted, unlisted
from accounting.dp.accountants import epsilon
from accounting.models import (
    DatasetBudget,
    Entry,
    EntryKind,
    LedgerHead,
    SiteEntry,
    SiteStatement,
)
from accounting.selectors import commitments, histories, judging, spending, unbooked
from accounting.selectors import sides as books
from accounting.selectors.unbooked import Owed, Row
from accounting.services import gate
from accounting.services.rows import Draft, append, lock
from studies.models import Event, Institution, Study
from studies.services import events


class Unbookable(ValueError):
    """What a journal says was charged can be composed with nothing; its study stays held."""


@transaction.atomic
def book(house: Institution, places: Iterable[Place], *, now: datetime) -> list[Entry]:
    """Append what the house's told journals prove at `places` and the ledger does not have.

    Called again it appends nothing. What cannot be booked is left out: see `check`; its dataset is
    lent no more (selectors/unbooked).
    """
    head = lock()
    written = [
        (claim, _append(head, claim, now))
        for place, sides in books.both_sides(house.slug, set(places)).items()
        for claim in unbooked.owed(house.slug, place, *sides)
        if not unbooked.obstacle(claim)
    ]
    for claim, entry in written:
        if claim.spends:
            _tell(house, claim, entry)
    return [entry for _, entry in written]


def check(house: Institution, place: Place) -> None:
    """Return where everything at `place` is booked or can be. Raises Unbookable."""
    for sides in books.both_sides(house.slug, {place}).values():
        for claim in unbooked.owed(house.slug, place, *sides):
            if obstacle := unbooked.obstacle(claim):
                raise Unbookable(obstacle)


def owing(sides: Mapping[Place, tuple[Side, Side]]) -> set[Place]:
    """The places at which something is to be booked."""
    return {place for place, pair in sides.items() if uncounted(*pair) or unlisted(*pair)}


def _append(head: LedgerHead, claim: Owed, now: datetime) -> Entry:
    lineage, facts = claim.charge["lineage"], _facts(claim)
    study, *where = claim.place
    draft = Draft(EntryKind.BOOKED, claim.key, study, claim.institution, lineage, *where, facts)
    return append(head, [draft], now)[0]


def _facts(claim: Owed) -> dict[str, Any]:
    event, study, house = claim.event, claim.place[0], claim.institution
    spent = histories.load([house], study)
    if claim.spends:
        spent.add(study, house, claim.charge["lineage"], event)
    facts = {
        "protocol_digest": claim.charge["protocol_digest"],
        "reason": "the site's signed journal says so, and the hub had no row of it",
        "journal": {"sequence": claim.row["sequence"], "digest": claim.row["digest"]},
        "evidence": _evidence(house, claim.row),
        "figure": gate.figure_json(epsilon(spent.study(study, house), unbooked.delta_of(claim))),
    }
    if not claim.spends:
        return facts | {"tensors_digest": claim.row["tensors_digest"], "unit": event.unit}
    plans = commitments.standing([house], [study]).plans
    plan = plans.get((study, house, claim.charge["protocol_digest"]))
    whole = spent.merged_study(study, house).key()
    sealed = judging.within(whole, plan.steps if plan else judging.NO_PLAN)
    return facts | {"event": event.to_json(), "sealed": sealed, "checks": []}


def _evidence(house: str, row: Row) -> str:
    """SHA-256 of the signed statement that told the row first."""
    entry = SiteEntry.objects.filter(institution=house, digest=row["digest"]).order_by("id")[0]
    statements = SiteStatement.objects.filter(
        institution=house, journal=entry.journal, sequence__gte=entry.sequence
    )
    return sha256(statements.order_by("id")[0].envelope.encode()).hexdigest()


def _tell(house: Institution, claim: Owed, entry: Entry) -> None:
    """That it was booked; and where a lifetime budget is passed by it, that it is exhausted."""
    events.record(
        "charge_booked",
        study=Study.objects.filter(slug=entry.study).first(),
        institution=house,
        round=entry.round,
        attempt=entry.attempt,
        phase=entry.phase,
        entry=entry.sequence,
    )
    if budget := unbooked.budget_of(claim):
        _tell_exhausted(house, budget)


def _tell_exhausted(house: Institution, budget: DatasetBudget) -> None:
    """Once for each limit that is passed."""
    about = {"what": f"dataset {budget.lineage}", "limit": budget.epsilon}
    told = Event.objects.filter(kind="budget_exhausted", institution=house)
    told = told.filter(payload__what=about["what"], payload__limit=about["limit"])
    if spending.remaining_of(budget).exhausted and not told.exists():
        events.record("budget_exhausted", institution=house, **about)
