"""A study that the hub itself cannot move: after several failures in a row a person is told."""

import structlog
from django.core.cache import cache

from federation.services import verdicts
from studies.services import studies

log = structlog.get_logger()
IN_A_ROW, REMEMBERED_SECONDS = 5, 120


def failed(study_id: int, fault: Exception) -> None:
    """Count one failure of `advance`; the fifth in a row puts the study on hold, to be resumed."""
    key = _key(study_id)
    cache.add(key, 0, REMEMBERED_SECONDS)
    count = cache.incr(key)
    log.error("study_not_advanced", study=study_id, fault=type(fault).__name__, in_a_row=count)
    if count >= IN_A_ROW:
        cache.delete(key)
        studies.hold_if_running(study_id, reason=verdicts.stuck(fault))


def succeeded(study_id: int) -> None:
    """Forget earlier failures."""
    cache.delete(_key(study_id))


def _key(study_id: int) -> str:
    return f"advance-failures-{study_id}"
