"""The running sums of what counts as spent: kept with each append, compared by verification."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection

from accounting.models import Entry, SpentSteps

Place = tuple[str, str, str, str, str, str, int]  # COLUMNS
Counted = tuple[Place, int, int]  # more steps there, and more that wait
COLUMNS = (
    "institution",
    "lineage",
    "study",
    "unit",
    "noise_multiplier",
    "sample_rate",
    "rows_per_unit",
)
_AT_ONCE = 100  # rows in one statement: SQLite takes 999 parameters
_INSERT = f"INSERT INTO accounting_spentsteps ({', '.join(COLUMNS)}, steps, waiting) VALUES "  # noqa: S608
_ADD = (
    f" ON CONFLICT ({', '.join(COLUMNS)}) DO UPDATE SET "
    "steps = accounting_spentsteps.steps + excluded.steps, "
    "waiting = accounting_spentsteps.waiting + excluded.waiting"
)
_ROW = f"({', '.join(['%s'] * (len(COLUMNS) + 2))})"


def add(counted: Iterable[Counted]) -> None:
    """Count steps and waiting steps, each with its place; in the appending transaction."""
    total: dict[Place, tuple[int, int]] = {}
    for where, steps, waiting in counted:
        before = total.get(where, (0, 0))
        total[where] = before[0] + steps, before[1] + waiting
    changed = [(*where, *counts) for where, counts in total.items() if any(counts)]
    with connection.cursor() as cursor:
        for first in range(0, len(changed), _AT_ONCE):
            rows = changed[first : first + _AT_ONCE]
            values = [value for row in rows for value in row]
            cursor.execute(_INSERT + ", ".join([_ROW] * len(rows)) + _ADD, values)


def place(entry: Entry, event: dict[str, Any]) -> Place:
    """Under what the steps of an event are summed; `event` as the ledger's bodies hold it."""
    price = (event["noise_multiplier"], event["sample_rate"], event.get("rows_per_unit", 1))
    unit = event.get("unit", "row")
    return (entry.institution, entry.lineage, entry.study, unit, *price)


def stored() -> Iterator[tuple[Place, tuple[int, int]]]:
    """Every sum that is not 0 as it stands in the database: steps, and those that wait."""
    rows = SpentSteps.objects.exclude(steps=0, waiting=0)
    for *where, steps, waiting in rows.values_list(*COLUMNS, "steps", "waiting").iterator():
        yield tuple(where), (steps, waiting)  # type: ignore[misc]
