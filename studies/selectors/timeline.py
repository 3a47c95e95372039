"""What happened, as sentences: the same rows for the timeline, the auditor and the browser."""

from dataclasses import dataclass
from datetime import datetime

from studies.kinds import KINDS, OLDER
from studies.models import Event, Person, Study
from studies.selectors.visibility import Visitor, events_for

SHOWN = 50
UNKNOWN = "?"  # a payload without the key that its sentence names


@dataclass(frozen=True)
class Line:
    """One event to read; times are shown, ids order."""

    id: int
    kind: str
    at: datetime
    text: str
    study: Study | None


class _Words(dict):
    def __missing__(self, key: str) -> str:
        return UNKNOWN


def sentence(event: Event) -> str:
    """The event in words, with its reason where it has one."""
    text, reason = headline(event), event.payload.get("reason")
    return f"{text}: {reason}" if reason else text


def headline(event: Event) -> str:
    """The event in few words: the template of its kind with names and payload put in."""
    words = _Words({**OLDER.get(event.kind, {}), **event.payload})
    words.update(
        by=name_of(event.by), institution=event.institution or UNKNOWN, study=event.study or UNKNOWN
    )
    return KINDS.get(event.kind, event.kind.replace("_", " ")).format_map(words)


def name_of(person: Person | None) -> str:
    """How a person is called; what no person did, the hub did."""
    if person is None:
        return "The hub"
    return person.get_full_name() or person.get_username()


def study_timeline(person: Visitor, study: Study, limit: int = SHOWN) -> list[Line]:
    """The study's newest events that the person may read, newest first."""
    return lines(events_for(person, study), limit)


def lines(rows, limit: int) -> list[Line]:
    """The newest `limit` of these events, newest first."""
    rows = rows.select_related("by", "institution", "study").order_by("-id")[:limit]
    return [Line(row.pk, row.kind, row.at, sentence(row), row.study) for row in rows]
