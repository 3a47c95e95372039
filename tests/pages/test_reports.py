"""Choosing, issuing, reading and signing a report, as people do it with a browser."""

import json

import pytest
from django.urls import reverse

from accounting.models import IssuedReport, ReportRequest, ReportSignature
from accounting.reports.scopes import Scope
from accounting.services import budgets, reports
from federation.models import Checkpoint
from studies.models import Event
from tests.pages.markup import Page
from tests.pages.scenes import measured

PASSWORD = "correct horse battery"
HOUSE = Scope(institution="cleveland")
STUDY = Scope("heart-disease")


@pytest.fixture
def issued(submitted, cast):
    for person in (cast.otto, cast.carla):
        person.set_password(PASSWORD)
        person.save()
    return reports.issue(HOUSE, cast.otto, second_opinion=False)


def show(scope: Scope) -> str:
    return f"{reverse('report-show')}?{scope.text}"


def page_of(row: IssuedReport) -> str:
    return reverse("issued-report", args=[row.sha256])


def text(answer) -> str:
    assert answer.status_code == 200
    html = answer.content.decode()
    assert Page(html).all_faults() == []
    return html


def sign(client, row, **given):
    sent = {"meaning": "approved", "password": PASSWORD, **given}
    return client.post(reverse("report-sign", args=[row.sha256]), sent)


def test_the_form_leads_to_the_scope_that_was_chosen(submitted, cast, hospitals, browse):
    lent = [{"name": "heart", "lineage": "heart-1988", "epsilon": "3", "delta": "0.001"}]
    budgets.declare(hospitals.cleveland, lent)
    chosen = {"lineage": "cleveland/heart-1988", "since": "2026-01-01"}
    answer = browse(cast.otto).post(reverse("reports"), chosen)
    wanted = Scope(institution="cleveland", lineage="heart-1988").text
    assert answer.url == f"{reverse('report-show')}?{wanted}&from=2026-01-01"
    assert "dataset heart-1988 at Cleveland" in text(browse(cast.otto).get(answer.url))


@pytest.mark.parametrize(
    ("chosen", "advice"),
    [
        ({"study": "heart-disease", "institution": ""}, None),
        ({}, "parts only"),
        ({"since": "2026-02-01", "until": "2026-01-01", "study": "heart-disease"}, "swap"),
    ],
)
def test_the_form_tells_what_cannot_be(chosen, advice, submitted, cast, browse):
    answer = browse(cast.otto).post(reverse("reports"), chosen)
    assert (answer.status_code == 302) if advice is None else (advice in text(answer))


def test_a_refused_scope_hides_no_report_that_was_issued(issued, cast, browse):
    html = text(browse(cast.carla).post(reverse("reports"), {}))
    assert "parts only" in html
    assert reverse("issued-report", args=[issued.sha256]) in html


def test_the_form_offers_nobody_what_is_not_theirs(submitted, cast, browse):
    assert "cleveland" not in text(browse(cast.zoe).get(reverse("reports"))).lower()
    lead = text(browse(cast.ada).get(reverse("reports")))
    assert "heart-disease" in lead
    assert 'value="cleveland"' not in lead


def test_a_lead_reads_the_study_and_no_house(submitted, cast, browse):
    client = browse(cast.ada)
    assert client.get(show(STUDY)).status_code == 200
    for scope in (HOUSE, Scope(), Scope("heart-disease", "cleveland")):
        assert client.get(show(scope)).status_code == 404
    assert "report-issue" not in text(client.get(show(STUDY)))


def test_an_officer_issues_and_is_led_to_the_report(submitted, cast, browse):
    client = browse(cast.otto)
    assert 'id="report-issue"' in text(client.get(show(HOUSE)))
    answer = client.post(f"{reverse('report-issue')}?{HOUSE.text}")
    row = ReportRequest.objects.get()
    assert answer.url == reverse("report-request", args=[row.pk])
    assert "Waiting for the hub" in text(client.get(answer.url))
    panel = reverse("panel-report-request", args=[row.pk])
    assert "HX-Redirect" not in client.get(panel).headers
    row.status, row.report = "issued", reports.issue(HOUSE, cast.otto, second_opinion=False)
    row.save()
    assert client.get(panel).headers["HX-Redirect"] == page_of(row.report)


def test_progress_and_failure_are_shown(submitted, cast, browse):
    client, row = browse(cast.otto), reports.ask(HOUSE, cast.otto)
    panel = reverse("panel-report-request", args=[row.pk])
    ReportRequest.objects.update(status="computing", done=2, total=5)
    assert "2 of 5" in text(client.get(panel))
    assert "all datasets" in text(client.get(reverse("reports")))
    reports.failed(row.pk, "the disk is full")
    answer = client.get(panel)
    assert answer.status_code == 286  # htmx stops asking
    assert "the disk is full" in answer.content.decode()


def test_nonsense_is_not_found(submitted, cast, browse):
    client = browse(cast.olga)
    for query in ("from=yesterday", "lineage=heart", "study=no-such", "institution=no-such"):
        assert client.get(f"{reverse('report-show')}?{query}").status_code == 404
    assert client.get(reverse("report-show-file", args=["exe"])).status_code == 404
    assert client.get(reverse("report-request", args=[999])).status_code == 404


@pytest.mark.parametrize("form", ["json", "csv", "pdf", "signed.json"])
def test_an_issued_report_is_taken_away_with_its_digest(form, issued, cast, browse):
    answer = browse(cast.otto).get(reverse("issued-report-file", args=[issued.sha256, form]))
    assert f'filename="cleveland-report-1.{form}"' in answer["Content-Disposition"]
    if form == "json":
        assert answer.content.decode() == issued.text
    if form == "signed.json":
        assert json.loads(answer.content)["sha256"] == issued.sha256
    if form in ("json", "csv", "pdf"):
        assert Event.objects.filter(kind="report_downloaded", payload__form=form).exists()


def test_entries_go_to_those_who_may_read_every_body(issued, cast, browse):
    study = reports.issue(STUDY, cast.olga, second_opinion=False)
    address = reverse("issued-report-file", args=[study.sha256, "bundle.json"])
    answers = {who: browse(getattr(cast, who)).get(address) for who in ("olga", "otto", "ada")}
    assert [answer.status_code for answer in answers.values()] == [200, 403, 403]
    assert json.loads(answers["olga"].getvalue())["report"]["sha256"] == study.sha256
    own = reverse("issued-report-file", args=[issued.sha256, "bundle.json"])
    assert browse(cast.otto).get(own).status_code == 200
    assert 'id="report-bundle"' in text(browse(cast.otto).get(page_of(issued)))
    assert 'id="report-bundle"' not in text(browse(cast.otto).get(page_of(study)))


def test_officers_and_site_admins_sign(issued, cast, browse):
    for who in ("otto", "carla"):
        assert sign(browse(getattr(cast, who)), issued).url == page_of(issued)
    html = text(browse(cast.otto).get(page_of(issued)))
    assert "Otto" in html
    assert "Carla" in html
    assert html.count("I approve this report") == 2
    assert "otto: approved" in text(browse(cast.otto).get(reverse("reports"))).replace(
        "Otto", "otto"
    )


def test_a_wrong_password_signs_nothing_and_five_end_the_session(issued, cast, browse):
    client = browse(cast.otto)
    for _ in range(4):
        assert "password is not right" in text(sign(client, issued, password="guess"))
    assert sign(client, issued, password="guess").url == reverse("login")
    assert client.get(reverse("reports")).status_code == 302
    assert ReportSignature.objects.count() == 0


def test_the_older_report_is_kept_and_says_what_came_after(issued, cast, browse):
    sign(browse(cast.otto), issued)
    newer = reports.issue(HOUSE, cast.olga, second_opinion=False)
    client = browse(cast.otto)
    older = text(client.get(page_of(issued)))
    assert f'href="{page_of(newer)}"' in older
    assert "Superseded by" in older
    assert "Otto" in older
    assert 'id="report-sign"' not in older
    assert f'href="{page_of(issued)}"' in text(client.get(page_of(newer)))
    listed = text(client.get(reverse("reports")))
    assert "superseded by 2" in listed
    assert "current" in listed


def test_a_report_lost_to_a_role_is_lost(issued, cast, browse):
    cast.otto.memberships.all().delete()
    assert browse(cast.otto).get(page_of(issued)).status_code == 404


def test_utility_stands_on_the_page(played, cast, browse):
    assert Checkpoint.objects.count() == 2
    measured(played, 2, accuracy=0.875, auc=None)
    assert "0.875" in text(browse(cast.ada).get(show(STUDY)))
