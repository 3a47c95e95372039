"""Somebody answers for it that no patient of a study is at two of its institutions.

Without it a report composes what all institutions cost; with it the largest one counts. It binds
to the protocol's digest, and can be taken back.
"""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounting.models import Entry, EntryKind
from accounting.selectors import attestations
from accounting.selectors.attestations import Attestation
from accounting.services.rows import Draft, append, lock
from studies.models import Person, Study
from studies.selectors.protocols import protocol_of
from studies.services import events
from studies.services.errors import Refused


class AttestationRefused(Refused):
    """Nothing is attested like this; the message says what to do."""


@transaction.atomic
def attest(study: Study, text: str, *, by: Person, now: datetime | None = None) -> Entry:
    """Write who answers for the disjointness of the cohort, and in which words.

    Raises AttestationRefused: no words, one institution only, or attested already.
    """
    head = lock()
    institutions = sorted(member.institution for member in protocol_of(study).cohort)
    if not text.strip():
        raise AttestationRefused("say how you know that no patient is at two institutions")
    if len(institutions) < 2:
        raise AttestationRefused("one institution alone has nobody to share a patient with")
    if attestations.in_force(study):
        raise AttestationRefused("this is attested already; withdraw that first")
    facts = {"text": text.strip(), "institutions": institutions}
    entry = append(head, [_draft(study, by, facts)], now or timezone.now())[0]
    events.record("disjoint_attested", study=study, by=by, reason=text.strip())
    return entry


@transaction.atomic
def withdraw(study: Study, reason: str, *, by: Person, now: datetime | None = None) -> Entry:
    """Take an attestation back: from here on every report composes again.

    Raises AttestationRefused: no reason, or nothing is attested.
    """
    head = lock()
    found: Attestation | None = attestations.in_force(study)
    if found is None:
        raise AttestationRefused("nothing is attested for the protocol as it stands")
    if not reason.strip():
        raise AttestationRefused("say why it does not hold; the reason is kept for good")
    facts = {"text": reason.strip(), "institutions": list(found.institutions), "withdrawn": True}
    entry = append(head, [_draft(study, by, facts)], now or timezone.now())[0]
    events.record("disjoint_withdrawn", study=study, by=by, reason=reason.strip())
    return entry


def _draft(study: Study, by: Person, facts: dict[str, Any]) -> Draft:
    """The first row of a digest has the plain key; what follows is numbered from 2."""
    digest = study.protocol_digest
    key = f"{study.slug}//attested/{digest}"
    rows = Entry.objects.filter(kind=EntryKind.ATTESTED, study=study.slug, institution="")
    earlier = rows.filter(idempotency_key__startswith=key).count()
    return Draft(
        EntryKind.ATTESTED,
        f"{key}/{earlier + 1}" if earlier else key,
        study.slug,
        "",
        "",
        facts={
            **facts,
            "by": by.username,
            "name": by.get_full_name() or by.username,
            "protocol_digest": digest,
        },
    )
