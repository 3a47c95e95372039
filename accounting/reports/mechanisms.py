"""Section 5 of the report: every mechanism, one row for each."""

from typing import Any

from accounting.reports.parts import Material
from accounting.reports.trail import Deed
from accounting.selectors import shown


def section(material: Material) -> list[dict[str, Any]]:
    """One row per event, in ledger order."""
    return [_mechanism(deed) for deed in material.trail.deeds]


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
