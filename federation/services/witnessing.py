"""Showing the sites the ledger's head with each assignment, and acting when one sees it changed."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from accounting.log.checkpoints import CheckpointError, SignedCheckpoint
from accounting.selectors import tree
from accounting.services import checkpoints
from accounting.services.checkpoints import LedgerRewritten
from accounting.services.hub_key import hub_key
from federation.models import Assignment
from federation.services.facts import place_of
from studies.models import Event, Study
from studies.services import events, studies

FRESH = timedelta(seconds=1)
log = structlog.get_logger(__name__)


class NoCheckpoint(Exception):
    """The ledger is damaged, so the hub signs nothing; sites then refuse to compute."""


def shown(since: int) -> dict[str, Any]:
    """The signed checkpoint of the whole ledger, and the proof that it extends `since` entries.

    Where the site saw more than there is, there is no proof: it sees so from the size.
    Raises NoCheckpoint.
    """
    try:
        signed = _signed(since)
        size = signed.checkpoint.size
        proof = tree.consistency(since, size) if since <= size else []
    except (LedgerRewritten, tree.Damaged, CheckpointError) as error:
        log.error("no_checkpoint", why=str(error))
        raise NoCheckpoint("the hub cannot sign its ledger; its operator verifies it") from error
    return {"checkpoint": signed.to_json(), "consistency": proof}


def _signed(since: int) -> SignedCheckpoint:
    """One signed a moment ago, where there is one: many sites take their assignments at once."""
    last = checkpoints.latest()
    if last is None or last.size < since or last.key != hub_key().public:
        return checkpoints.issue()
    age = timezone.now() - datetime.fromisoformat(last.at)
    return tree.word(last) if timedelta(0) <= age < FRESH else checkpoints.issue()


@transaction.atomic
def failed(row: Assignment) -> None:
    """A site refuses because the ledger is not what it saw: told once, and the study held.

    In a transaction before the one that keeps the refusal: should the hub die in between, the
    site sends it again. The study comes first in the order of locks.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=row.round.study_id)
    told = Event.objects.filter(kind="witness_failed", study=study, institution=row.institution)
    if told.filter(payload__assignment=row.uid).exists():
        return
    events.record("witness_failed", **place_of(row), assignment=row.uid)
    studies.hold_if_running(
        study.pk,
        reason=f"The site of {row.institution} refuses to go on: the hub's ledger does not "
        "continue what the site saw of it. The site keeps both signed checkpoints; its admin "
        "and the operator of the hub compare them before anybody resumes this study.",
    )
