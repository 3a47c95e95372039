"""Asking the round engine, which lies above this package, to look at a study after commit."""

from functools import partial

import celery
import structlog
from django.db import transaction
from kombu.exceptions import OperationalError

from studies.models import Study

log = structlog.get_logger(__name__)
ADVANCE = "federation.advance"
ONCE_MORE = {"max_retries": 1, "interval_start": 0.0}  # the kept connection may have gone stale


def wake(study: Study) -> None:
    """Enqueue `federation.advance` for `study` after commit.

    A broker that is away is no error: the engine's sweeper finds the study from the rows alone.
    """
    transaction.on_commit(partial(_send, study.pk))


def _send(study_id: int) -> None:
    try:
        celery.current_app.send_task(ADVANCE, [study_id], retry_policy=ONCE_MORE)
    except OperationalError as error:
        log.warning("engine_not_woken", study=study_id, error=type(error).__name__)
