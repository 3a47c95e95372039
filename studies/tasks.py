"""What the hub's worker does for `studies`: bringing alerts to people."""

from celery import shared_task

from studies.services import alerting


@shared_task(name="studies.send_alerts", ignore_result=True)
def send_alerts() -> None:
    """Send what is due; run twice or late, it is harmless."""
    alerting.sweep()
