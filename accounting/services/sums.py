"""The running sums of what counts as spent: kept with each append, compared by verification."""

from collections import Counter
from collections.abc import Iterable, Iterator

from django.db import connection

from accounting.models import Entry, SpentSteps

Place = tuple[str, str, str, str, str, str, int]  # COLUMNS
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
_INSERT = f"INSERT INTO accounting_spentsteps ({', '.join(COLUMNS)}, steps) VALUES "  # noqa: S608
_ADD = (
    f" ON CONFLICT ({', '.join(COLUMNS)}) DO UPDATE SET "
    "steps = accounting_spentsteps.steps + excluded.steps"
)
_ROW = f"({', '.join(['%s'] * (len(COLUMNS) + 1))})"


def add(entries: Iterable[tuple[Entry, str]]) -> None:
    """Count the steps of new entries, each with its unit; in the appending transaction."""
    total: Counter[Place] = Counter()
    for entry, unit in entries:
        total[place(entry, unit)] += entry.steps
    changed = [(*where, steps) for where, steps in total.items() if steps]
    with connection.cursor() as cursor:
        for first in range(0, len(changed), _AT_ONCE):
            rows = changed[first : first + _AT_ONCE]
            values = [value for row in rows for value in row]
            cursor.execute(_INSERT + ", ".join([_ROW] * len(rows)) + _ADD, values)


def place(entry: Entry, unit: str) -> Place:
    """Under what an entry's steps are summed."""
    price = (entry.noise_multiplier, entry.sample_rate, entry.rows_per_unit)
    return (entry.institution, entry.lineage, entry.study, unit, *price)


def stored() -> Iterator[tuple[Place, int]]:
    """Every sum that is not 0, as it stands in the database."""
    rows = SpentSteps.objects.exclude(steps=0).values_list(*COLUMNS, "steps")
    for *where, steps in rows.iterator():
        yield tuple(where), steps  # type: ignore[misc]
