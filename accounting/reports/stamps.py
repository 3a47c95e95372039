"""What stands beside an issued report in every rendering: number, seal, signatures, successor."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from accounting.models import IssuedReport, ReportSignature
from studies.models import Person


@dataclass(frozen=True)
class Signed:
    """One person's signature: who, when, and what it means."""

    name: str
    meaning: str
    says: str
    at: datetime


@dataclass(frozen=True)
class Stamp:
    """`address` is where the hub keeps the report: its own digest is the last part of it."""

    number: int
    by: str
    at: datetime
    key: str
    signature: str
    address: str
    superseded_by: str  # in words; empty for the newest
    signatures: tuple[Signed, ...]


def stamp(row: IssuedReport) -> Stamp:
    """The stamp of an issued report, as it stands now."""
    return Stamp(
        number=row.number,
        by=_name(row.by) if row.by else "the hub, on its schedule",
        at=row.at,
        key=row.key,
        signature=row.signature,
        address=settings.PUBLIC_URL + reverse("issued-report", args=[row.sha256]),
        superseded_by=_successor(row),
        signatures=tuple(_signed(s) for s in row.signatures.select_related("by")),
    )


def _signed(row: ReportSignature) -> Signed:
    return Signed(_name(row.by), row.meaning, row.get_meaning_display(), row.at)


def _successor(row: IssuedReport) -> str:
    newer = IssuedReport.objects.filter(supersedes=row).first()
    return f"report {newer.number} of {newer.at:%d %B %Y}" if newer else ""


def _name(person: Person) -> str:
    full = person.get_full_name()
    return f"{full} ({person.get_username()})" if full else person.get_username()
