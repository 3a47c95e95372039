"""Every way in which a report leaves the hub: the same document, with its SHA-256 in each."""

from typing import Any

from accounting import charts
from accounting.reports import summary
from accounting.reports.build import Report
from accounting.reports.pdf.document import pdf_bytes
from accounting.reports.stamps import Stamp
from accounting.reports.table import csv_text
from accounting.selectors import naming

FORMS = {"json": "application/json", "csv": "text/csv; charset=utf-8", "pdf": "application/pdf"}


def rendered(report: Report, form: str, stamp: Stamp | None = None) -> bytes:
    """The file of one of FORMS; JSON is the canonical text itself."""
    if form == "pdf":
        return pdf_bytes(report, stamp)
    if form == "csv":
        return csv_text(report, stamp).encode()
    return report.text.encode()


def page_context(report: Report, stamp: Stamp | None = None) -> dict[str, Any]:
    """What the page's template needs besides the reader's rights."""
    document = report.document
    groups = summary.condensed(document["mechanisms"])
    return {
        "report": report,
        "stamp": stamp,
        "figure": burn_down(document),
        "groups": groups and groups[: summary.READABLE],
        "more_groups": max(0, len(groups or ()) - summary.READABLE),
        "names": naming.of_report(document, known=naming.load()),
        "incidents": condensed(document["incidents"]),
    }


def condensed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All incidents where they can be read, else equal ones together."""
    return rows if len(rows) <= summary.READABLE else summary.incidents(rows)


def burn_down(document: dict[str, Any]) -> dict[str, Any] | None:
    """The chart of every part's curve against the lowest budget; None where nothing was spent."""
    parts = [part for part in document["parameters"]["institutions"] if part["curve"]["points"]]
    if not parts:
        return None
    curves = [charts.Curve(_name(part, document), _points(part)) for part in parts]
    last = max(x for curve in curves for x, _ in curve.points)
    budgets = _budgets(document)
    figure = charts.burn_down(
        curves, rounds=last, budget=lowest_budget(document), name=charts.budget_name(budgets)
    )
    figure["layout"]["xaxis"]["title"]["text"] = parts[0]["curve"]["over"]
    return figure


def lowest_budget(document: dict[str, Any]) -> float | None:
    """The budget that ends first, of those that are numbers."""
    return min(_budgets(document), default=None)


def _budgets(document: dict[str, Any]) -> list[float]:
    texts = [part["budget"] for part in document["parameters"]["institutions"]]
    return [float(text) for text in texts if text[:1].isdigit()]


def _points(part: dict[str, Any]) -> tuple[tuple[int, float], ...]:
    return tuple((int(x), float(y)) for x, y in part["curve"]["points"])


def _name(part: dict[str, Any], document: dict[str, Any]) -> str:
    return part["name"] if document["report"]["study"] else f"{part['lineage']}, {part['name']}"
