"""What the ledger says about one study, read once: the deeds, the sealed plans, the last entry."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from accounting.dp.events import PrivacyEvent
from accounting.models import Entry, EntryKind
from accounting.selectors.spending import place

Body = dict[str, Any]


@dataclass
class Deed:
    """One reservation and everything that became of it, by kind, oldest first."""

    rows: dict[str, Body] = field(default_factory=dict)

    @property
    def reserved(self) -> Body:
        """The body of the reservation."""
        return self.rows[EntryKind.RESERVED]

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
    """All entries of a study at some institutions. `last` is None where there is none yet."""

    deeds: list[Deed] = field(default_factory=list)
    plans: dict[str, Body] = field(default_factory=dict)
    size: int = 0
    first: Body | None = None
    last: Body | None = None
    digest: str = ""

    def of(self, institution: str) -> list[Deed]:
        """The deeds at one institution."""
        return [deed for deed in self.deeds if deed.reserved["institution"] == institution]

    def events(self, institution: str) -> list[PrivacyEvent]:
        """The events that count as spent at one institution, in ledger order."""
        return [deed.event for deed in self.of(institution) if deed.counted]

    def institutions(self) -> list[str]:
        """Every institution that the trail names."""
        spent = {deed.reserved["institution"] for deed in self.deeds}
        return sorted(spent | set(self.plans))


def read(study: str, institutions: Collection[str] | None = None) -> Trail:
    """The trail of one study, at some or (None) all institutions; one query."""
    rows = Entry.objects.filter(study=study)
    if institutions is not None:
        rows = rows.filter(institution__in=institutions)
    trail, deeds = Trail(), {}
    for row in rows:
        body = json.loads(row.body)
        trail.first = trail.first or body
        trail.last, trail.digest, trail.size = body, row.digest, trail.size + 1
        if row.kind == EntryKind.SEALED:
            trail.plans[row.institution] = body
        else:
            deeds.setdefault(place(row), Deed()).rows[row.kind] = body
    trail.deeds = list(deeds.values())
    return trail
