"""Reports by e-mail on a schedule: issued as by a person, sent with the file attached.

Rows decide: the report is kept before it is sent, so a crash sends the same one again and never
none. The right to read it is asked again each time.
"""

import json
from datetime import datetime, timedelta

import structlog
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from accounting.models import IssuedReport, ReportSchedule, Rhythm
from accounting.reports import rights
from accounting.reports.build import REFUSED, Report
from accounting.reports.older import modern
from accounting.reports.renderings import FORMS, rendered
from accounting.reports.scopes import Scope
from accounting.reports.stamps import stamp
from accounting.services import reports
from studies.models import Person
from studies.services import sending
from studies.services.errors import Refused

PERIODS = {Rhythm.WEEK: timedelta(days=7), Rhythm.MONTH: timedelta(days=30)}
LEASE, RETRY = timedelta(minutes=30), timedelta(hours=1)
MOST = 20  # schedules of one person

log = structlog.get_logger(__name__)


class ScheduleRefused(Refused):
    """The schedule cannot be kept as asked."""


@transaction.atomic
def schedule(person: Person, scope: Scope, every: str, address: str) -> ReportSchedule:
    """Send the report of `scope` from now on; the first one at once. Asked again, it is changed.

    Raises ScheduleRefused: no such rhythm, no address, or too many.
    """
    if every not in Rhythm.values:
        raise ScheduleRefused(f"a report comes every {' or '.join(Rhythm.values)}")
    try:
        validate_email(address)
    except ValidationError as error:
        raise ScheduleRefused("give an e-mail address such as dpo@example.org") from error
    Person.objects.select_for_update().get(pk=person.pk)
    known = ReportSchedule.objects.filter(person=person)
    same = known.filter(scope=scope.text, address=address).first()
    if same is None and known.count() >= MOST:
        raise ScheduleRefused(f"you have {MOST} schedules; end one of them first")
    now = timezone.now()
    found, _ = ReportSchedule.objects.update_or_create(
        person=person,
        scope=scope.text,
        address=address,
        defaults={"every": every, "due_at": now, "busy_until": now},
    )
    return found


def end(person: Person, number: int) -> None:
    """End one of the person's own schedules; one that is not there has ended already."""
    ReportSchedule.objects.filter(person=person, pk=number).delete()


def deliver_one(now: datetime | None = None) -> bool:
    """Issue and send the report that is due longest; whether there was one.

    Imports torch for the second opinion: call it in a worker of the hub.
    """
    now = now or timezone.now()
    row = _claim(now)
    if row is None:
        return False
    scope = Scope.parse(row.scope)
    if not row.person.is_active or not rights.may_issue(row.person, scope):
        _postpone(row, "you may no longer issue this report", now)
        return True
    try:
        _send(row, scope)
    except (sending.NotSent, *REFUSED) as problem:
        _postpone(row, str(problem), now)
        return True
    _next(row, now)
    return True


def _claim(now: datetime) -> ReportSchedule | None:
    due = ReportSchedule.objects.filter(due_at__lte=now, busy_until__lte=now)
    row = due.select_related("person", "report").order_by("due_at", "pk").first()
    if row is None or not due.filter(pk=row.pk).update(busy_until=now + LEASE):
        return None
    return row


def _send(row: ReportSchedule, scope: Scope) -> None:
    if row.report is None:
        row.report = reports.issue(scope, row.person)
        row.save(update_fields=["report"])
    found = row.report
    files = [(f"{scope.file_name}.pdf", _pdf(found), FORMS["pdf"])]
    sending.mail(row.address, _subject(found), _text(found), files)


def _pdf(found: IssuedReport) -> bytes:
    report = Report(modern(json.loads(found.text)), found.text, found.sha256)
    return rendered(report, "pdf", stamp(found))


def _subject(found: IssuedReport) -> str:
    about = json.loads(found.text)["report"]
    words = " ".join(f"{about['title']}, {about['scope']['words']}".split())
    return f"[Cloister] Privacy report {found.number}: {words}"


def _text(found: IssuedReport) -> str:
    return (
        f"Report {found.number}, issued {found.at:%Y-%m-%d %H:%M} UTC, is attached.\n\n"
        f"SHA-256 of its JSON: {found.sha256}\n"
        f"Read, sign and verify it: {stamp(found).address}\n"
    )


def _next(row: ReportSchedule, now: datetime) -> None:
    row.due_at, row.busy_until = now + PERIODS[Rhythm(row.every)], now
    row.report, row.problem = None, ""
    row.save(update_fields=["due_at", "busy_until", "report", "problem"])


def _postpone(row: ReportSchedule, problem: str, now: datetime) -> None:
    log.warning("report_not_delivered", schedule=row.pk, problem=problem)
    row.busy_until, row.problem = now + RETRY, problem[:200]
    row.save(update_fields=["busy_until", "problem"])
