"""Which privacy unit a dataset lineage is charged for: one only, as long as anything is spent."""

import json
from collections.abc import Collection

from django.db.models import Max

from accounting.models import Entry, EntryKind


def reserved(institutions: Collection[str]) -> dict[tuple[str, str], str]:
    """(institution, lineage) → the unit of its newest reservation, in one query.

    The ledger admits no second unit while something is spent, so the newest speaks for all of it.
    """
    rows = Entry.objects.filter(kind=EntryKind.RESERVED, institution__in=institutions)
    places = rows.order_by().values("institution", "lineage")
    newest = places.annotate(last=Max("sequence")).values("last")
    found = Entry.objects.filter(sequence__in=newest)
    return {
        (institution, lineage): json.loads(body)["event"]["unit"]
        for institution, lineage, body in found.values_list("institution", "lineage", "body")
    }
