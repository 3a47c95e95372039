"""What the ledger says about one scope, read once: the deeds, the sealed plans, the budgets."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Q, QuerySet

from accounting import transitions
from accounting.dp.events import PrivacyEvent
from accounting.models import Entry, EntryKind
from accounting.reports.scopes import Scope
from accounting.selectors.commitments import Unreadable
from accounting.selectors.spending import place

Body = dict[str, Any]


@dataclass
class Deed:
    """One reservation and everything that became of it, by kind, oldest first."""

    rows: dict[str, Body] = field(default_factory=dict)

    @property
    def reserved(self) -> Body:
        """The body of the reservation, or of what was booked from a site's journal."""
        return self.rows.get(EntryKind.RESERVED) or self.rows[EntryKind.BOOKED]

    @property
    def state(self) -> str:
        """The kind of the newest row."""
        return next(reversed(self.rows))

    @property
    def counted(self) -> bool:
        """Whether it counts as spent."""
        return EntryKind.ABORTED not in self.rows

    @property
    def event(self) -> PrivacyEvent:
        """What was, or would have been, done."""
        return PrivacyEvent.from_json(self.reserved["event"])


@dataclass
class Trail:
    """All entries of a scope. `last` is None where there is none yet.

    `deeds` are those inside the scope's period, `earlier` those before it: what was spent at its
    end is both together.
    """

    deeds: list[Deed] = field(default_factory=list)
    earlier: list[Deed] = field(default_factory=list)
    plans: dict[tuple[str, str], Body] = field(default_factory=dict)  # (study, institution)
    others: dict[str, list[Body]] = field(default_factory=dict)  # rows that are about no deed
    size: int = 0
    first: Body | None = None
    last: Body | None = None
    digest: str = ""

    def rows(self, *kinds: str) -> list[Body]:
        """The rows of some kinds that are about no deed, oldest first."""
        found = [body for kind in kinds for body in self.others.get(kind, ())]
        return sorted(found, key=lambda body: body["sequence"])

    def studies(self) -> list[str]:
        """Every study that the trail names."""
        named = {deed.reserved["study"] for deed in (*self.deeds, *self.earlier)}
        return sorted(named | {study for study, _ in self.plans})

    def places(self) -> list[tuple[str, str]]:
        """Every (institution, lineage) that something was planned or spent at."""
        deeds = (*self.deeds, *self.earlier)
        named = {(d.reserved["institution"], d.reserved["lineage"]) for d in deeds}
        return sorted(named | {(b["institution"], b["lineage"]) for b in self.plans.values()})


def spent(deeds: list[Deed], institution: str, lineage: str = "") -> list[PrivacyEvent]:
    """The events that count at an institution (for one lineage, or any), in ledger order."""
    return [deed.event for deed in deeds if deed.counted and _is_at(deed, institution, lineage)]


def _is_at(deed: Deed, institution: str, lineage: str) -> bool:
    body = deed.reserved
    return body["institution"] == institution and lineage in ("", body["lineage"])


def read(scope: Scope) -> Trail:
    """The trail of a scope; one query. Entries after the period are left out altogether.

    Raises Unreadable where somebody destroyed a row.
    """
    trail = Trail()
    deeds: dict[Any, Deed] = {}
    for row, body in _bodies(scope):
        _count(trail, row, body)
        if row.kind == EntryKind.SEALED:
            trail.plans[row.study, row.institution] = body
        elif row.kind in transitions.KEYED:
            deeds.setdefault(place(row), Deed()).rows[row.kind] = body
        elif row.kind == EntryKind.BOOKED and row.steps:
            deeds[row.idempotency_key] = Deed({row.kind: body})  # beside what else is known there
        else:
            trail.others.setdefault(row.kind, []).append(body)
    for deed in deeds.values():
        if scope.unit in ("", deed.reserved["event"]["unit"]):
            inside = scope.since is None or day_of(deed.reserved) >= scope.since
            (trail.deeds if inside else trail.earlier).append(deed)
    return trail


def day_of(body: Body) -> date:
    """The day in UTC on which a row was written."""
    return datetime.fromisoformat(body["at"]).astimezone(UTC).date()


def _count(trail: Trail, row: Entry, body: Body) -> None:
    trail.first = trail.first or body
    trail.last, trail.digest, trail.size = body, row.digest, trail.size + 1


def _bodies(scope: Scope) -> Iterator[tuple[Entry, Body]]:
    for row in entries(scope):
        body = _body(row)
        if scope.until is None or day_of(body) <= scope.until:
            yield row, body


def _body(row: Entry) -> Body:
    """Raises Unreadable where it lacks what a report reads of every row of its kind."""
    try:
        body = json.loads(row.body)
        if isinstance(body, dict) and _NEEDED | _NEEDED_OF.get(row.kind, set()) <= set(body):
            day_of(body)
            return body
    except (ValueError, TypeError) as error:
        raise Unreadable(row.sequence) from error
    raise Unreadable(row.sequence)


_NEEDED = {"sequence", "kind", "study", "institution", "lineage", "at"}
_NEEDED_OF: dict[str, set[str]] = {
    EntryKind.SEALED: {"plan", "limit", "figure"},
    EntryKind.RESERVED: {"event", "figure", "checks"},
    EntryKind.BOOKED: {"figure"},
}


def entries(scope: Scope) -> QuerySet[Entry]:
    """The ledger's rows that a scope is about, in order.

    A study's own rows are those that name it; attestations name no institution. A report that
    names an institution and no study has its datasets' budgets, too.
    """
    rows = Entry.objects.order_by("sequence")
    if scope.study:
        rows = rows.filter(study=scope.study)
    if scope.institution:
        mine = Q(institution=scope.institution)
        rows = rows.filter(mine | Q(institution="") if scope.study else mine)
    if scope.lineage:
        rows = rows.filter(lineage=scope.lineage)
    return rows
