"""Bringing alerts to people: from events to deliveries, from deliveries out of the house.

Rows decide, messages only remind: a delivery is written before anything is sent, and a crash
between sending and writing sends it once more rather than never.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby

import structlog
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from studies import alerts
from studies.models import Delivery, DeliveryStatus, Event, Subscription
from studies.selectors.alerting import alerts_for
from studies.services import sending

MOST_ATTEMPTS = 12
FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(hours=6)
LEASE = timedelta(minutes=5)  # longer than any attempt may take
MOST_AT_ONCE = 200

log = structlog.get_logger(__name__)


def sweep(now: datetime | None = None) -> int:
    """Write what is new, send what is due; the number of deliveries sent."""
    now = now or timezone.now()
    for subscription in Subscription.objects.filter(person__is_active=True):
        _look(subscription, now)
    claimed = _claim(now)
    return sum(
        _send(list(group), now) for _, group in groupby(claimed, lambda row: row.subscription_id)
    )


@transaction.atomic
def _look(subscription: Subscription, now: datetime) -> None:
    """Deliveries for every alert since the last look that the person may see."""
    locked = Subscription.objects.select_for_update().filter(pk=subscription.pk).first()
    last = Event.objects.aggregate(last=Max("pk"))["last"] or 0
    if locked is None or locked.after >= last:
        return
    kinds = alerts.kinds(alerts.Severity(locked.severity))
    seen = alerts_for(locked.person).filter(kind__in=kinds, pk__gt=locked.after, pk__lte=last)
    Delivery.objects.bulk_create(
        (Delivery(subscription=locked, event=event, due_at=now) for event in seen.order_by("pk")),
        ignore_conflicts=True,
    )
    locked.after = last
    locked.save(update_fields=["after"])


def _claim(now: datetime) -> list[Delivery]:
    """The due deliveries, leased to this process: another one passes them over meanwhile."""
    due = Delivery.objects.filter(status=DeliveryStatus.WAITING, due_at__lte=now)
    rows = due.select_related("subscription__person", "event__study", "event__institution")
    mine = []
    for row in rows.order_by("subscription_id", "event_id")[:MOST_AT_ONCE]:
        lease = now + LEASE
        if due.filter(pk=row.pk).update(due_at=lease, attempts=row.attempts + 1):
            row.attempts, row.due_at = row.attempts + 1, lease
            mine.append(row)
    return mine


def _send(rows: list[Delivery], now: datetime) -> int:
    """One subscription's deliveries, together; how many were sent."""
    subscription = rows[0].subscription
    allowed = set(
        alerts_for(subscription.person)
        .filter(pk__in=[row.event_id for row in rows])
        .values_list("pk", flat=True)
    )
    _mark([row for row in rows if row.event_id not in allowed], DeliveryStatus.DROPPED)
    rows = [row for row in rows if row.event_id in allowed]
    if not rows:
        return 0
    try:
        sending.send(subscription, [row.event for row in rows])
    except sending.NotSent as problem:
        _postpone(rows, str(problem), now)
        return 0
    _mark(rows, DeliveryStatus.SENT)
    return len(rows)


def _mark(rows: Iterable[Delivery], status: str) -> None:
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(status=status, problem="")


def _postpone(rows: list[Delivery], problem: str, now: datetime) -> None:
    """Wait twice as long after each attempt; give up after the twelfth, visibly."""
    for row in rows:
        row.problem = problem[:200]
        row.due_at = now + min(FIRST_WAIT * 2**row.attempts, LONGEST_WAIT)
        if row.attempts >= MOST_ATTEMPTS:
            row.status = DeliveryStatus.FAILED
            log.error("alert_not_delivered", event_id=row.event_id, problem=problem)
    Delivery.objects.bulk_update(rows, ["status", "problem", "due_at"])
