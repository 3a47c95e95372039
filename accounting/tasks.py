"""What the hub's worker does for `accounting`: verifying by the clock, computing reports.

The second opinion of a report reaches torch from here, and from nowhere in a web process.
"""

from typing import Any

from celery import Task, shared_task

from accounting.services import reconciliation, reports, scheduling, watching


class Reporting(Task):
    """A task whose unforeseen failures are shown to whoever waits for the report."""

    def on_failure(
        self, exc: Exception, task_id: str, args: tuple[int], kwargs: dict[str, Any], einfo: Any
    ) -> None:
        """Celery has logged the fault already."""
        reports.failed(args[0], f"the hub could not compute it ({type(exc).__name__}: {exc})")


@shared_task(name=reports.TASK, base=Reporting, ignore_result=True)
def issue_report(request_id: int) -> None:
    """One step towards a report; the next one waits its turn behind whatever came meanwhile."""
    if reports.advance(request_id):
        reports.send(request_id)


@shared_task(name="accounting.resume_reports", ignore_result=True)
def resume_reports() -> None:
    """Take up the requests whose message or whose worker was lost."""
    for request_id in reports.unattended():
        reports.send(request_id)


@shared_task(name="accounting.deliver_reports", ignore_result=True)
def deliver_reports() -> None:
    """Issue and send one report that is due by its schedule; the next one waits its turn."""
    if scheduling.deliver_one():
        deliver_reports.delay()


@shared_task(name="accounting.verify_ledger", ignore_result=True)
def verify_ledger() -> None:
    """Verify the whole ledger; what is wrong becomes an alert."""
    watching.verify_now()


@shared_task(name="accounting.reconcile", ignore_result=True)
def reconcile() -> None:
    """Hold the sites' journals against the ledger again; what differs stops its study."""
    reconciliation.sweep()
