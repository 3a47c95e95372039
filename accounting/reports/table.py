"""The report as CSV: a header block, then one row per mechanism.

A cell that a spreadsheet would take for a formula is given a leading apostrophe (CWE-1236).
"""

import csv
import io
import re

from accounting.reports.build import Report

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    "entry",
    "at",
    "study",
    "institution",
    "lineage",
    "round",
    "attempt",
    "phase",
    "mechanism",
    "noise_multiplier",
    "sample_rate",
    "steps",
    "max_grad_norm",
    "batch_denominator",
    "sampler",
    "noise_grade",
    "unit",
    "rows_per_unit",
    "neighbouring",
    "state",
    "counted",
    "sealed",
    "epsilon_after",
    "delta",
    "accountant",
)


def csv_text(report: Report) -> str:
    """The whole file, RFC 4180, UTF-8 without a byte-order mark."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in _header(report):
        writer.writerow([guarded(cell) for cell in row])
    writer.writerow([])
    writer.writerow(COLUMNS)
    for row in report.document["mechanisms"]:
        writer.writerow([guarded(row[name]) for name in COLUMNS])
    return out.getvalue()


def guarded(value: object) -> str:
    """The cell's text, harmless to a spreadsheet; numbers stay numbers."""
    text = "" if value is None else str(value)
    if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def _header(report: Report) -> list[tuple[object, ...]]:
    document = report.document
    spent = document["parameters"]
    rows: list[tuple[object, ...]] = [
        ("report", document["report"]["id"]),
        ("report_sha256", report.digest),
        ("about", document["report"]["title"]),
        ("scope", document["report"]["scope"]["words"]),
        ("unit", spent["unit"]),
        ("max_rows_per_unit", spent["max_rows_per_unit"]),
        ("ledger_entry", document["integrity"]["ledger_head"]["entry"]),
        ("ledger_sha256", document["integrity"]["ledger_head"]["sha256"]),
        ("statement", document["statement"][0]["sentence"]),
        (),
        ("institution", "epsilon", "shown", "delta", "accountant", "budget", "remaining", "rdp"),
    ]
    for site in spent["institutions"]:
        figure = site["spent"]
        rows.append(
            (
                site["name"],
                figure["epsilon"],
                figure["shown"],
                figure["delta"],
                figure["accountant"],
                site["budget"],
                site["remaining"],
                site["second_opinion"]["shown"],
            )
        )
    return rows
