"""Which privacy unit a dataset lineage is charged for: one only, as long as anything is spent."""

from collections.abc import Collection

from accounting.models import SpentSteps


def reserved(institutions: Collection[str]) -> dict[tuple[str, str], str]:
    """(institution, lineage) → the unit that what is spent of it protects, in one query.

    The ledger admits no second unit while something is spent.
    """
    rows = SpentSteps.objects.filter(institution__in=institutions).exclude(steps=0)
    return {
        (institution, lineage): unit
        for institution, lineage, unit in rows.values_list(
            "institution", "lineage", "unit"
        ).distinct()
    }
