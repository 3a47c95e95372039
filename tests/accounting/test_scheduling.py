"""Reports by e-mail: issued, kept, sent once, and tried again when nobody takes them."""

from datetime import timedelta

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from accounting.models import IssuedReport, ReportSchedule
from accounting.reports.scopes import Scope
from accounting.services import reports, scheduling
from accounting.services.scheduling import ScheduleRefused, deliver_one, schedule
from studies.models import Membership
from studies.services import sending
from tests.accounting import world

pytestmark = pytest.mark.django_db
SCOPE = Scope("heart")


@pytest.fixture
def here(monkeypatch):
    """A played study; the second opinion, which needs torch, is left to its own tests."""
    made = world.build()
    world.play(made, 2)
    issue = reports.issue
    monkeypatch.setattr(reports, "issue", lambda *a: issue(*a, second_opinion=False))
    return made


def asked(made, every="week"):
    return schedule(made.officer, SCOPE, every, "olga@example.org")


def later(**by):
    return timezone.now() + timedelta(**by)


def test_the_first_report_goes_out_at_once_as_a_file_and_is_kept(here):
    asked(here)
    assert deliver_one(later(seconds=1))
    (message,) = mail.outbox
    (report,) = IssuedReport.objects.all()
    assert message.to == ["olga@example.org"]
    assert report.sha256 in message.body
    told = "Heart disease in two houses, the whole study, all institutions"
    assert message.subject == f"[Cloister] Privacy report 1: {told}"
    ((name, content, kind),) = message.attachments
    assert (name, kind) == ("heart-report.pdf", "application/pdf")
    assert content.startswith(b"%PDF")
    assert report.by == here.officer


def test_the_next_one_comes_after_its_time_and_supersedes_the_first(here):
    asked(here)
    deliver_one(later(seconds=1))
    assert not deliver_one(later(days=6))
    assert deliver_one(later(days=8))
    assert len(mail.outbox) == 2
    first, second = IssuedReport.objects.order_by("number")
    assert second.supersedes == first


def test_a_mail_that_is_not_taken_is_sent_later_with_the_same_report(here, monkeypatch):
    def refuse(*_):
        raise sending.NotSent("the mail server did not take it (TimeoutError)")

    asked(here)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "mail", refuse)
        assert deliver_one(later(seconds=1))
    row = ReportSchedule.objects.get()
    assert "did not take it" in row.problem
    assert not deliver_one(later(minutes=30))
    assert deliver_one(later(hours=2))
    assert IssuedReport.objects.count() == 1
    assert IssuedReport.objects.get().sha256 in mail.outbox[0].body
    assert ReportSchedule.objects.get().problem == ""


def test_a_worker_that_dies_leaves_it_to_the_next_one(here, monkeypatch):
    asked(here)
    assert scheduling._claim(later(seconds=1)) is not None
    assert not deliver_one(later(minutes=5))
    assert deliver_one(later(hours=1))
    assert len(mail.outbox) == 1


def test_who_is_no_officer_any_more_gets_nothing(here):
    asked(here)
    Membership.objects.filter(person=here.officer).delete()
    assert deliver_one(later(seconds=1))
    assert mail.outbox == []
    assert "may no longer" in ReportSchedule.objects.get().problem


def test_asking_again_changes_the_rhythm(here):
    first = asked(here)
    assert asked(here, "month").pk == first.pk
    assert ReportSchedule.objects.get().every == "month"


@pytest.mark.parametrize(("every", "address"), [("day", "a@b.org"), ("week", "nobody"), ("", "")])
def test_what_cannot_be_kept(here, every, address):
    with pytest.raises(ScheduleRefused, match=r"every week or month|e-mail address"):
        schedule(here.officer, SCOPE, every, address)


def test_the_page_adds_shows_and_ends_it(here, client):
    client.force_login(here.officer)
    shown = client.get(f"{reverse('report-show')}?{SCOPE.text}")
    assert 'id="schedule"' in shown.content.decode()
    address = f"{reverse('report-schedule')}?{SCOPE.text}"
    answer = client.post(address, {"every": "month", "address": "o@example.org"}, follow=True)
    assert "o@example.org" in answer.content.decode()
    row = ReportSchedule.objects.get()
    client.post(reverse("report-schedule-end", args=[row.pk]))
    assert not ReportSchedule.objects.exists()


def test_a_wrong_address_is_told_on_the_report_again(here, client):
    client.force_login(here.officer)
    address = f"{reverse('report-schedule')}?{SCOPE.text}"
    answer = client.post(address, {"every": "month", "address": "nobody"}, follow=True)
    assert "Give an e-mail address" in answer.content.decode()
    assert not ReportSchedule.objects.exists()


def test_a_lead_may_not_have_it_sent(here, client):
    client.force_login(here.lead)
    address = f"{reverse('report-schedule')}?{SCOPE.text}"
    assert client.post(address, {"every": "month", "address": "a@b.org"}).status_code == 403


def test_nobody_ends_the_schedule_of_another(here, client):
    row = asked(here)
    client.force_login(here.admin)
    client.post(reverse("report-schedule-end", args=[row.pk]))
    assert ReportSchedule.objects.filter(pk=row.pk).exists()
