"""Reports that were issued in an earlier form, brought into the present one to be shown.

The document that was issued, its text and its digest stay as they are.
"""

from typing import Any

from accounting.reports.across import ALL, ONE
from accounting.selectors import shown

Document = dict[str, Any]
BEFORE = ("cloister-privacy-report/1", "cloister-privacy-report/2")


def modern(document: Document) -> Document:
    """The same with the keys that renderings read; what was not said then is left empty."""
    if document["report"]["schema"] not in BEFORE:
        return document
    told = document["parameters"]
    parts = [_part(part) for part in told["institutions"]]
    lifetime = told["lifetime"]
    if not isinstance(lifetime, str):
        lifetime = [{"unit": "", "odometer": "", **row} for row in lifetime]
    spent = {**told, "institutions": parts, "lifetime": lifetime}
    spent["across_institutions"] = _across(told["across_institutions"], parts)
    worst = max(parts, key=lambda part: float(part["claimed"]["epsilon"]), default=None)
    reading = worst["reading"] if worst else ""
    statement = [{**line, "reading": reading} for line in document["statement"]]
    released = [{"outcome": "", **row} for row in document["releases"]["released"]]
    releases = {**document["releases"], "released": released}
    return {**document, "parameters": spent, "statement": statement, "releases": releases}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    claimed = part.get("odometer") or part["spent"]
    studies = [{"accountant": "pld", "unit": part["unit"], "odometer": ""} | r for r in _by(part)]
    odometer = shown.ODOMETER if part.get("odometer") else ""
    return {**part, "claimed": claimed, "odometer": odometer, "by_study": studies}


def _by(part: dict[str, Any]) -> list[dict[str, Any]]:
    return part.get("by_study", [])


def _across(found: dict[str, Any], parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Then there was one group, whatever its units, and the largest figure was claimed."""
    if isinstance(found[ONE], str) or isinstance(found[ALL], str):
        return []
    figure = found[ALL]
    names = [part["name"] for part in parts]
    return [found | {k: figure[k] for k in ("unit", "delta")} | {"parts": names, "claimed": ONE}]
