"""Asking for work of tasks that lie above this package: first of all, to look at a study."""

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
    transaction.on_commit(partial(send, ADVANCE, study.pk))


def send(task: str, number: int) -> None:
    """Ask a worker of the hub for `task`, which finds what it missed by itself: never raises."""
    try:
        celery.current_app.send_task(task, [number], retry_policy=ONCE_MORE)
    except OperationalError as error:
        log.warning("task_not_sent", task=task, number=number, error=type(error).__name__)
