"""The ledger's rows of an adaptive schedule: the noise of a round, before anything is reserved."""

import json
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounting.models import Entry, EntryKind
from accounting.refusals import Conflict
from accounting.services.rows import Draft, append, lock


@transaction.atomic
def propose(
    study: str,
    place: tuple[int, int],
    noise_multiplier: float,
    *,
    protocol_digest: str,
    facts: dict[str, Any],
    now: datetime | None = None,
) -> Entry:
    """Write the noise of `place` (round, attempt), and why. Raises Conflict for another noise."""
    number, attempt = place
    key = f"{study}//proposed/{number}.{attempt}/{protocol_digest}"
    said = {
        "protocol_digest": protocol_digest,
        "noise_multiplier": repr(noise_multiplier),
        **facts,
    }
    head = lock()
    found = Entry.objects.filter(idempotency_key=key).first()
    if found is None:
        draft = Draft(EntryKind.PROPOSED, key, study, "", "", number, attempt, facts=said)
        return append(head, [draft], now or timezone.now())[0]
    if json.loads(found.body)["noise_multiplier"] != said["noise_multiplier"]:
        raise Conflict(f"{key} is in the ledger with another noise; it stands")
    return found
