"""Section 8 of the report: what was lost, refused, retried or overridden, by whom and why."""

from typing import Any

from django.db.models import Q

from accounting.models import EntryKind
from accounting.reports.trail import Deed, Trail
from studies.models import Event, Institution, Study

_LEDGER = {
    EntryKind.LOST: "no answer came; it stays charged",
    EntryKind.REFUSED: "not used; it stays charged",
    EntryKind.ABORTED: "never computed; the reservation was given back",
}
_TIMELINE = (
    "quorum_overridden",
    "round_failed",
    "study_held",
    "study_exhausted",
    "study_failed",
    "participation_withdrawn",
    "study_withdrawn",
    "ledger_broken",
)


def section(study: Study, found: Trail, institution: Institution | None) -> list[dict[str, Any]]:
    """Lost, refused and returned mechanisms, retries, overrides: with who and why."""
    from_ledger = [line for deed in found.deeds for line in _of_deed(deed)]
    events = study.events.filter(kind__in=_TIMELINE).select_related("by", "institution")
    if institution is not None:
        events = events.filter(Q(institution=None) | Q(institution=institution))
    return from_ledger + [_of_event(event) for event in events]


def _of_deed(deed: Deed) -> list[dict[str, Any]]:
    lines = [
        _line(row, _LEDGER[kind], row["reason"])
        for kind, row in deed.rows.items()
        if kind in _LEDGER
    ]
    if deed.reserved["attempt"] > 1:
        lines.append(_line(deed.reserved, "a retry; charged again", ""))
    return lines


def _line(body: dict[str, Any], what: str, why: str) -> dict[str, Any]:
    return {
        "at": body["at"],
        "source": f"ledger entry {body['sequence']}",
        "institution": body["institution"],
        "round": f"{body['round']}.{body['attempt']} {body['phase']}",
        "what": what,
        "reason": why,
        "approved_by": "nobody: decided by the rules",
    }


def _of_event(event: Event) -> dict[str, Any]:
    return {
        "at": event.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "source": f"event {event.pk}",
        "institution": event.institution.slug if event.institution else "",
        "round": str(event.payload.get("round", "")),
        "what": event.kind.replace("_", " "),
        "reason": str(event.payload.get("reason", "")),
        "approved_by": event.by.username if event.by else "nobody: decided by the rules",
    }
