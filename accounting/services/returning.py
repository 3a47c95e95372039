"""Giving back what a study sealed and never reserved: at its end, or when an institution leaves.

The plan is committed no longer, so the next study can have the room at once. What was reserved
stays spent; what an open round reserved and nobody took is given back by its own rows.
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounting.models import Entry, EntryKind
from accounting.selectors import commitments, histories
from accounting.selectors.commitments import Commitment
from accounting.services.rows import Draft, append, lock


@transaction.atomic
def give_back(
    study: str, *, institution: str | None = None, now: datetime | None = None
) -> list[Entry]:
    """Return every plan of `study` that stands (at one institution), one row each; once."""
    head = lock()
    plans = _standing(study, institution)
    spent = histories.load({plan.institution for plan in plans}, study)
    return append(head, [_draft(plan, spent) for plan in plans], now or timezone.now())


def _standing(study: str, institution: str | None) -> list[Commitment]:
    found = commitments.standing(None if institution is None else [institution], [study])
    return sorted(found.plans.values(), key=lambda plan: plan.name)


def _draft(plan: Commitment, spent: histories.Histories) -> Draft:
    reserved = spent.steps.get((plan.study, plan.institution, plan.lineage), Counter())
    events, cost = plan.left(reserved)
    left = [replace(event, unit=plan.unit) for event in events]
    return Draft(
        EntryKind.RETURNED,
        f"{plan.study}/{plan.institution}/returned/{plan.protocol_digest}",
        plan.study,
        plan.institution,
        plan.lineage,
        facts={
            "protocol_digest": plan.protocol_digest,
            "plan_left": [event.to_json() for event in left],
            "order": plan.order,
            "rdp_returned": repr(cost),
        },
    )
