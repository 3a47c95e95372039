"""The report as CSV: a header block, then one row per mechanism.

A cell that a spreadsheet would take for a formula is given a leading apostrophe (CWE-1236).
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from accounting.reports.build import Report
from accounting.reports.stamps import Stamp

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SPENT = ("institution", "lineage", "epsilon", "shown", "delta", "accountant", "unit", "budget")
_SPENT += ("remaining", "rdp", "certified_low", "certified_high", "spent_so_far", "odometer")
_ACROSS = ("across", "unit", "delta", "epsilon", "shown", "accountant", "claimed")
_READINGS = ("if_no_person_is_at_two", "if_a_person_may_be_at_all")
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


def csv_text(report: Report, stamp: Stamp | None = None) -> str:
    """The whole file, RFC 4180, UTF-8 without a byte-order mark."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in (*_header(report), *_issued(stamp)):
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
        *(("statement", line["sentence"]) for line in document["statement"]),
        (),
        _SPENT,
    ]
    rows += [_spent(site) for site in spent["institutions"]]
    rows += [(), _ACROSS]
    return rows + [line for group in spent["across_institutions"] for line in _across(group)]


def _spent(site: dict[str, Any]) -> tuple[object, ...]:
    """What may be claimed of one part; where that is a filter's bound, also the sum so far."""
    figure, second, odometer = site["claimed"], site["second_opinion"], site["odometer"]
    return (
        site["name"],
        site["lineage"],
        figure["epsilon"],
        figure["shown"],
        figure["delta"],
        figure["accountant"],
        figure["unit"],
        site["budget"],
        site["remaining"],
        second["shown"] if second else "",
        *_interval(site["certified"]),
        site["spent"]["shown"] if odometer else "",
        odometer,
    )


def _across(group: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for reading in _READINGS:
        figure = group[reading]
        yield (
            reading,
            group["unit"],
            group["delta"],
            figure["epsilon"],
            figure["shown"],
            figure["accountant"],
            _is_claimed(group, reading),
        )


def _is_claimed(group: dict[str, Any], reading: str) -> str:
    if group["claimed"] != reading:
        return "no"
    return group.get("odometer") or "yes"


def _interval(found: dict[str, str] | str) -> tuple[str, str]:
    return (found["low"], found["high"]) if isinstance(found, dict) else ("", "")


def _issued(stamp: Stamp | None) -> list[tuple[object, ...]]:
    if stamp is None:
        return [(), ("issued", "no: a preview")]
    rows: list[tuple[object, ...]] = [
        (),
        ("issued", stamp.at.isoformat(), stamp.by, stamp.address),
        ("superseded_by", stamp.superseded_by or "nothing"),
    ]
    signed = [("signature", s.at.isoformat(), s.name, s.meaning) for s in stamp.signatures]
    return rows + signed
