"""Whether somebody answers for it that no patient of a study is at two institutions, and who."""

import json
from dataclasses import dataclass
from datetime import datetime

from accounting.models import Entry, EntryKind
from studies.models import Study


@dataclass(frozen=True)
class Attestation:
    """What the newest row says; `by` is a username, `name` how the person is called."""

    sequence: int
    at: datetime
    text: str
    by: str
    name: str
    institutions: tuple[str, ...]


def in_force(study: Study) -> Attestation | None:
    """The attestation of the study's present protocol, unless it was withdrawn."""
    rows = Entry.objects.filter(kind=EntryKind.ATTESTED, study=study.slug, institution="")
    key = f"{study.slug}//attested/{study.protocol_digest}"
    row = rows.filter(idempotency_key__startswith=key).order_by("sequence").last()
    body = json.loads(row.body) if row else {"withdrawn": True}
    if row is None or body.get("withdrawn"):
        return None
    return Attestation(
        row.sequence,
        datetime.fromisoformat(body["at"]),
        body["text"],
        body["by"],
        body["name"],
        tuple(body["institutions"]),
    )
