"""What the hub's Celery worker does. The only module of the hub that reaches torch."""

from celery import shared_task

from federation.services import advancing


@shared_task(name="federation.advance", ignore_result=True)
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
