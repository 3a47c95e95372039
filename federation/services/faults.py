"""A study that the hub itself cannot move: after several failures in a row a person is told."""

import structlog
from django.core.cache import cache
from django.db import transaction

from federation.services import verdicts
from studies.models import Study
from studies.services import studies
from studies.states import StudyStatus

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
        _hold(study_id, fault)


def succeeded(study_id: int) -> None:
    """Forget earlier failures."""
    cache.delete(_key(study_id))


@transaction.atomic
def _hold(study_id: int, fault: Exception) -> None:
    study = Study.objects.select_for_update().get(pk=study_id)
    if study.status == StudyStatus.RUNNING:
        studies.hold(study, reason=verdicts.stuck(fault))


def _key(study_id: int) -> str:
    return f"advance-failures-{study_id}"
