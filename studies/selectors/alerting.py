"""Alerts as the page shows them: what happened, how urgent it is, who explained it."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from studies import alerts
from studies.models import Event, Explanation
from studies.selectors.timeline import Line, lines
from studies.selectors.visibility import (
    Visitor,
    administered,
    all_events_for,
    overseen,
)


@dataclass(frozen=True)
class Alert:
    """One alert with its explanation, if there is one."""

    line: Line
    severity: str
    explanation: Explanation | None


def alerts_for(person: Visitor) -> QuerySet[Event]:
    """The alerts that a person may read; those of a house alone are for its own people."""
    own = Q(institution__in=administered(person)) | Q(institution__in=overseen(person))
    elsewhere = Q(study__isnull=False) | Q(institution=None)
    return all_events_for(person).filter(elsewhere | own, kind__in=alerts.ALERTS)


def unexplained(person: Visitor) -> QuerySet[Event]:
    """Those that nobody has explained yet."""
    return alerts_for(person).filter(explanation=None)


def shown(rows: QuerySet[Event], limit: int) -> list[Alert]:
    """The newest `limit` of these, newest first."""
    found = lines(rows, limit)
    said = {
        row.event_id: row
        for row in Explanation.objects.filter(event__in=[line.id for line in found]).select_related(
            "by"
        )
    }
    return [Alert(line, alerts.ALERTS[line.kind], said.get(line.id)) for line in found]
