"""What the hub's Celery worker does. The only module of the hub that reaches torch."""

from typing import Any

from celery import Task, shared_task

from federation.services import advancing, faults


class Advancing(Task):
    """A task whose unforeseen failures are counted, so that no study stands still unnoticed."""

    def on_failure(
        self, exc: Exception, task_id: str, args: tuple[int], kwargs: dict[str, Any], einfo: Any
    ) -> None:
        """Celery has logged the fault already."""
        faults.failed(args[0], exc)

    def on_success(
        self, retval: Any, task_id: str, args: tuple[int], kwargs: dict[str, Any]
    ) -> None:
        """One look that went well ends the row."""
        faults.succeeded(args[0])


@shared_task(name="federation.advance", base=Advancing, ignore_result=True)
def advance(study_id: int) -> None:
    """Make all progress that the rows of one study allow; arriving twice or late is harmless."""
    advancing.advance(study_id)


@shared_task(name="federation.sweep", ignore_result=True)
def sweep() -> None:
    """Have every study that could move looked at, whatever messages were lost.

    Each in a task of its own: an error in one study stops no other.
    """
    for study_id in advancing.due():
        advance.delay(study_id)
