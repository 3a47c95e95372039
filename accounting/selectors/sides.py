"""What hub and site say of the same mechanisms, read beside each other."""

from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet

from accounting.contradictions import Place, Side, hub_side, parsed, site_side
from accounting.models import Entry, SiteEntry


def both_sides(institution: str, places: Collection[Place]) -> dict[Place, tuple[Side, Side]]:
    """(hub, site) for each place, in two queries.

    The site's rows are read first: what it charged, the hub had charged before.
    """
    of_site = _by_place(SiteEntry.objects.order_by("journal", "sequence"), institution, places)
    of_hub = _by_place(Entry.objects.order_by("sequence"), institution, places)
    return {
        place: (hub_side(of_hub.get(place, ())), site_side(of_site.get(place, ())))
        for place in places
    }


def _by_place(
    rows: QuerySet[Any], institution: str, places: Collection[Place]
) -> dict[Place, list[dict[str, Any]]]:
    found: dict[Place, list[dict[str, Any]]] = {}
    rows = rows.filter(
        institution=institution,
        study__in={place[0] for place in places},
        round__in={place[1] for place in places},
    )
    for *place, body in rows.values_list("study", "round", "attempt", "phase", "body"):
        if tuple(place) in places:
            found.setdefault(tuple(place), []).append(parsed(body))
    return found
