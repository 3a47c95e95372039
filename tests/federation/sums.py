"""What both sides' books add up to: the steps that the hub charged beside those the site did."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from accounting.contradictions import parsed
from accounting.models import Entry, EntryKind, SiteEntry

Price = tuple[str, str, int]  # noise_multiplier, sample_rate, rows_per_unit
Where = tuple[str, int, int, str]  # institution, round, attempt, phase


@dataclass(frozen=True)
class Sum:
    """Steps of one price in one study at one institution, as each side counts them.

    `unread` are charged at the hub and unknown to the site: taken, and never begun.
    """

    institution: str
    noise_multiplier: str
    sample_rate: str
    rows_per_unit: int
    hub: int
    site: int
    unread: int

    @property
    def agrees(self) -> bool:
        """Whether the site's charges are the hub's, but for what was never begun."""
        return self.hub == self.site + self.unread


def sums(study: str) -> list[Sum]:
    """Steps by price at each institution on both sides, over everything both have told.

    A journal that was restored tells its entries twice; each charge counts once.
    """
    sites = _site_charges(study)
    hub, unread = _hub_charges(study, {place[:4] for place in sites})
    own: Counter[tuple[str, Price]] = Counter()
    for place, event in sites.items():
        own[place[0], price(event)] += event["steps"]
    return [
        Sum(slug, *cost, hub[slug, cost], own[slug, cost], unread[slug, cost])
        for slug, cost in sorted(hub.keys() | own.keys())
    ]


def price(event: dict[str, Any]) -> Price:
    """What makes one step of an event cost what it costs."""
    return event["noise_multiplier"], event["sample_rate"], event.get("rows_per_unit", 1)


def _site_charges(study: str) -> dict[tuple[str, int, int, str, str], dict[str, Any]]:
    """The event of each charge, once, by where it stands and its digest."""
    rows = SiteEntry.objects.filter(study=study, kind="charged")
    return {(*_where(row), row.digest): parsed(parsed(row.body)["event"]) for row in rows}


def _hub_charges(
    study: str, at_sites: set[Where]
) -> tuple[Counter[tuple[str, Price]], Counter[tuple[str, Price]]]:
    """Steps charged and not given back, and those among them that the site does not know."""
    kinds = (EntryKind.RESERVED, EntryKind.CHARGED, EntryKind.ABORTED)
    events: dict[Where, dict[str, Any]] = {}
    newest: dict[Where, str] = {}
    total = _booked_charges(study)
    for row in Entry.objects.filter(study=study, kind__in=kinds).order_by("sequence"):
        if row.kind == EntryKind.RESERVED:
            events[_where(row)] = parsed(row.body)["event"]
        newest[_where(row)] = row.kind
    unread: Counter[tuple[str, Price]] = Counter()
    for where in (where for where, kind in newest.items() if kind == EntryKind.CHARGED):
        key, steps = (where[0], price(events[where])), events[where]["steps"]
        total[key] += steps
        unread[key] += 0 if where in at_sites else steps
    return total, unread


def _booked_charges(study: str) -> Counter[tuple[str, Price]]:
    """Steps that only the sites' journals prove."""
    total: Counter[tuple[str, Price]] = Counter()
    for row in Entry.objects.filter(study=study, kind=EntryKind.BOOKED, steps__gt=0):
        total[row.institution, price(parsed(row.body)["event"])] += row.steps
    return total


def _where(row: Entry | SiteEntry) -> Where:
    return row.institution, row.round, row.attempt, row.phase
