"""Step k of K of an assignment as it arrives: kept, and told to open pages now and then.

The site tells at a fixed pace and says no duration; what a rate is made of are the moments at
which the hub heard it.
"""

from datetime import datetime

from django.db.models import QuerySet

from federation.models import Assignment
from studies.services import events

NEWS_PER_PHASE = 8  # progress bars move in eighths,
NEWS_EVERY = 5  # seconds: or this often; what lies between is only in the row


def note(row: Assignment, step: int, still_open: QuerySet[Assignment], now: datetime) -> bool:
    """Keep `step` of `row` where `still_open` holds it; False when the assignment has closed."""
    changed = _changed(row, step, now)
    if not (still_open.update(**changed) if changed else still_open.exists()):
        return False
    if changed and _is_news(row, step, now):
        events.news("step_done", study=row.round.study, institution=row.institution)
    return True


def _changed(row: Assignment, step: int, now: datetime) -> dict[str, object]:
    """The columns that change; none where the site is still at the same step.

    A site that was killed begins again, and so does its rate.
    """
    if step == row.step and row.step_at:
        return {}
    changed: dict[str, object] = {"step": step, "step_at": now}
    if row.first_step_at is None or step < row.step:
        changed |= {"first_step": step, "first_step_at": now if step else None}
    return changed


def _is_news(row: Assignment, step: int, now: datetime) -> bool:
    if row.step_at is None or step * NEWS_PER_PHASE // row.steps != _eighths(row):
        return True
    return now.timestamp() // NEWS_EVERY != row.step_at.timestamp() // NEWS_EVERY


def _eighths(row: Assignment) -> int:
    return row.step * NEWS_PER_PHASE // row.steps
