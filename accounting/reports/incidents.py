"""Section 8 of the report: what was lost, refused, retried or overridden, by whom and why."""

from collections.abc import Collection
from typing import Any

from django.db.models import Q, QuerySet

from accounting.models import EntryKind
from accounting.reports import wording
from accounting.reports.parts import Material
from accounting.reports.releases import Place, late_places, place_of
from accounting.reports.scopes import Scope
from accounting.reports.trail import Deed
from studies.models import Event

_LEDGER = {
    EntryKind.LOST: "no answer came; it stays charged",
    EntryKind.REFUSED: "not used; it stays charged",
    EntryKind.BOOKED: "booked from the site's signed journal; it stays charged",
    EntryKind.ABORTED: "never computed; the reservation was given back",
}
_TOO_LATE = "the answer came too late, and what left was not used; it stays charged"
_TIMELINE = (
    "quorum_overridden",
    "round_cancelled",
    "round_failed",
    "assignment_refused",
    "study_held",
    "study_exhausted",
    "study_failed",
    "participation_withdrawn",
    "study_withdrawn",
    "journal_mismatch",
    "charge_booked",
    "witness_failed",
    "audit_failed",
    "audit_missing",
    "disjoint_withdrawn",
)
_OF_A_HOUSE = (
    "budget_raised",
    "budget_lowered",
    "budget_exhausted",
    "journal_mismatch",
    "witness_failed",
)
_OF_ALL = ("ledger_broken",)


def section(material: Material) -> list[dict[str, Any]]:
    """Lost, refused and returned mechanisms, retries, overrides: with who and why."""
    late = late_places(material)
    from_ledger = [line for deed in material.trail.deeds for line in _of_deed(deed, late)]
    events = _events(material).select_related("by", "institution", "study")
    inside = [event for event in events if _is_inside(event, material.scope)]
    return from_ledger + [_of_event(event) for event in inside]


def _of_deed(deed: Deed, late: Collection[Place]) -> list[dict[str, Any]]:
    told = _LEDGER | ({EntryKind.LOST: _TOO_LATE} if place_of(deed) in late else {})
    lines = [
        _line(row, told[kind], row["reason"]) for kind, row in deed.rows.items() if kind in _LEDGER
    ]
    if deed.reserved["attempt"] > 1:
        lines.append(_line(deed.reserved, "a retry; charged again", ""))
    return lines


def _line(body: dict[str, Any], what: str, why: str) -> dict[str, Any]:
    return {
        "at": body["at"],
        "source": f"ledger entry {body['sequence']}",
        "study": body["study"],
        "institution": body["institution"],
        "round": f"{body['round']}.{body['attempt']} {body['phase']}",
        "what": what,
        "reason": why,
        "approved_by": wording.BY_THE_RULES,
    }


def _events(material: Material) -> QuerySet[Event]:
    """The incidents of the timelines: of the studies, of the house where there is one, of all."""
    studies = Q(kind__in=_TIMELINE, study__slug__in=[row.slug for row in material.studies])
    slug = material.scope.institution
    if slug:
        studies &= Q(institution=None) | Q(institution__slug=slug)
    wanted = studies | Q(kind__in=_OF_ALL, study=None)
    if not material.study:
        own = Q(kind__in=_OF_A_HOUSE, study=None)
        wanted |= own & Q(institution__slug=slug) if slug else own
    return Event.objects.filter(wanted)


def _is_inside(event: Event, scope: Scope) -> bool:
    day = event.at.date()
    return (scope.since is None or scope.since <= day) and (
        scope.until is None or day <= scope.until
    )


def _of_event(event: Event) -> dict[str, Any]:
    return {
        "at": event.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "source": f"event {event.pk}",
        "study": event.study.slug if event.study else "",
        "institution": event.institution.slug if event.institution else "",
        "round": str(event.payload.get("round", "")),
        "what": event.kind.replace("_", " "),
        "reason": str(event.payload.get("reason", "")),
        "approved_by": _approver(event),
    }


def _approver(event: Event) -> str:
    """Who answers for it; two people where two were needed."""
    named = str(event.payload.get("approved_by", ""))
    return named or (event.by.username if event.by else wording.BY_THE_RULES)
