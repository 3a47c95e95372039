"""What the hub's worker does for `accounting`: verifying the ledger by the clock."""

from celery import shared_task

from accounting.services import watching


@shared_task(name="accounting.verify_ledger", ignore_result=True)
def verify_ledger() -> None:
    """Verify the whole ledger; what is wrong becomes an alert."""
    watching.verify_now()
