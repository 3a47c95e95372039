"""The PDF's first page: what the report is, its statement, its reading in plain words."""

from collections.abc import Iterator
from typing import Any

from reportlab.platypus import Flowable, Spacer

from accounting.reports.pdf import style
from accounting.reports.pdf.blocks import facts, text
from accounting.reports.stamps import Stamp


def mark(stamp: Stamp | None) -> str:
    """What must not be overlooked on any page."""
    if stamp is None:
        return "PREVIEW, NOT ISSUED"
    return f"SUPERSEDED BY {stamp.superseded_by.upper()}" if stamp.superseded_by else ""


def story(document: dict[str, Any], stamp: Stamp | None) -> Iterator[Flowable]:
    """Title, identity, statement, reading."""
    head = document["report"]
    yield text("PRIVACY REPORT", style.KICKER)
    yield text(head["title"], style.TITLE)
    yield text(_about(document), style.SMALL)
    for line in document["statement"]:
        yield text(line["sentence"], style.STATEMENT)
        if line["reading"]:
            yield text(f"In plain words: {line['reading']}")
            yield Spacer(1, 8)
    yield facts([*_identity(head, stamp), ("Trust model", document["trust_model"]["how_it_ran"])])
    yield Spacer(1, 4)
    yield text(
        "The statement holds if: " + "; ".join(document["trust_model"]["assumptions"]) + ".",
        style.SMALL,
    )


def _about(document: dict[str, Any]) -> str:
    head = document["report"]
    period = head["period"]
    status = f" Study {head['study']['status']}." if head["study"] else ""
    return (
        f"About {head['scope']['words']}. Ledger entries from {_day(period['from'])} to "
        f"{_day(period['to'])}.{status}"
    )


def _day(at: str) -> str:
    """A moment to the minute, or the words that stand for none."""
    return f"{at[:16].replace('T', ' ')} UTC" if at[:1].isdigit() else at


def _identity(head: dict[str, Any], stamp: Stamp | None) -> list[tuple[str, object]]:
    if stamp is None:
        return [("Status", "a preview of the ledger as it stands; no record until it is issued")]
    by = f"number {stamp.number}, by {stamp.by}, {stamp.at:%d %B %Y, %H:%M} UTC"
    told: list[tuple[str, object]] = [("Issued", by)]
    if isinstance(head["supersedes"], dict):
        older = head["supersedes"]
        told.append(
            ("Supersedes", f"report {older['number']} of {older['at'][:10]}, which is kept")
        )
    if stamp.superseded_by:
        told.append(("Superseded by", stamp.superseded_by))
    names = [f"{line.name}: {line.meaning}" for line in stamp.signatures]
    return [*told, ("Signed by", "; ".join(names) or "nobody yet")]
