"""Sections 5 and 6 of the report: every mechanism, everything that left, what is unprotected."""

from typing import Any

from accounting.models import EntryKind
from accounting.reports import wording
from accounting.reports.parts import Material
from accounting.reports.trail import Body, Deed, day_of
from accounting.selectors import shown


def section(material: Material) -> list[dict[str, Any]]:
    """One row per event, in ledger order."""
    return [_mechanism(deed) for deed in material.trail.deeds]


def releases(material: Material) -> dict[str, Any]:
    """What left, what it cost, and what is public by declaration."""
    left = [deed for deed in material.trail.deeds if EntryKind.RELEASED in deed.rows]
    return {
        "released": [_release(deed.rows) for deed in left] + _booked(material),
        "unprotected": list(wording.UNPROTECTED),
        "not_private": "nothing; every number that left was noised and charged",
    }


def _mechanism(deed: Deed) -> dict[str, Any]:
    body = deed.reserved
    return {
        "entry": body["sequence"],
        "at": body["at"],
        "study": body["study"],
        "institution": body["institution"],
        "lineage": body["lineage"],
        "round": body["round"],
        "attempt": body["attempt"],
        "phase": body["phase"],
        **body["event"],
        "rows_per_unit": body["event"].get("rows_per_unit", 1),
        "state": deed.state,
        "counted": deed.counted,
        "sealed": body["sealed"],
        "epsilon_after": body["figure"]["epsilon"],
        "shown_after": shown.up(float(body["figure"]["epsilon"])),
        "delta": body["figure"]["delta"],
        "accountant": body["figure"]["accountant"],
    }


def _booked(material: Material) -> list[dict[str, Any]]:
    """What left by the site's own signed journal, and the hub never had."""
    scope = material.scope
    return [
        _left(body, "no model", body["figure"])
        for body in material.trail.rows(EntryKind.BOOKED)
        if scope.unit in ("", body["unit"]) and (scope.since is None or day_of(body) >= scope.since)
    ]


def _release(rows: dict[str, Body]) -> dict[str, Any]:
    model = rows.get(EntryKind.ACKNOWLEDGED, {}).get("model_digest", "no model")
    return _left(rows[EntryKind.RELEASED], model, rows[EntryKind.RESERVED]["figure"])


def _left(body: Body, model: str, figure: dict[str, str]) -> dict[str, Any]:
    return {
        "entry": body["sequence"],
        "at": body["at"],
        "study": body["study"],
        "institution": body["institution"],
        "round": body["round"],
        "phase": body["phase"],
        "sha256": body["tensors_digest"],
        "became_part_of": model,
        "epsilon_after": figure["epsilon"],
    }
