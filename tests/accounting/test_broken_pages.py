"""Whoever destroys a row finds every page still there, saying that the ledger is broken."""

import json

import pytest
from django.urls import reverse

from accounting.models import Entry
from accounting.selectors import commitments, spending
from tests.accounting import forging, world
from tests.pages.filled import filled
from tests.studies.protocols import small_protocol

pytestmark = pytest.mark.django_db
DESTROYED = ("no JSON", "[]", "{}", '{"plan":[{}]}')


@pytest.fixture
def officer(client):
    found = world.build()
    world.play(found)
    client.force_login(found.officer)
    forging.unguard()
    return client


def destroy(sequence: int, body: str) -> None:
    Entry.objects.filter(sequence=sequence).update(body=body)
    commitments._known.clear()  # as a hub that was started again


@pytest.mark.parametrize("body", DESTROYED)
def test_the_ledgers_page_is_shown_with_what_is_broken(officer, body):
    plan = Entry.objects.filter(kind="sealed").first().sequence
    destroy(plan, body)
    text = officer.get(reverse("ledger")).content.decode()
    assert "<strong>Broken</strong>, found just now" in text
    assert f"entry {plan} cannot be read" in text
    assert "Lifetime budgets</h2>" not in text, "no figure that a broken row would change"
    officer.post(reverse("ledger-verify"))
    assert f"ledger broken at entry {plan}" in officer.get(reverse("ledger")).content.decode()


def test_no_destroyed_row_takes_a_page_away(officer):
    addresses = ["/ledger/", reverse("ledger-study", args=["heart"]), "/studies/heart/ledger.json"]
    for row in list(Entry.objects.all()):
        destroy(row.sequence, "no JSON")
        assert {officer.get(address).status_code for address in addresses} == {200}
        destroy(row.sequence, row.body)


def test_the_export_carries_a_destroyed_body_as_it_is(officer):
    row = Entry.objects.filter(study="heart", kind="charged").first()
    destroy(row.sequence, "no JSON")
    document = json.loads(officer.get("/studies/heart/ledger.json").content)
    found = {entry["sequence"]: entry["body"] for entry in document["entries"]}
    assert found[row.sequence] == "no JSON"


def test_the_verdict_at_home_says_so(officer):
    destroy(Entry.objects.filter(kind="sealed").first().sequence, "no JSON")
    page = officer.get(reverse("panel-verdict")).content.decode()
    assert "All within their limits" not in page
    assert "cannot be read" in page


def test_whoever_must_know_a_figure_gets_none(officer):
    destroy(Entry.objects.filter(kind="sealed", institution="cleveland").get().sequence, "[]")
    with pytest.raises(commitments.Unreadable, match="restore the row from a backup"):
        spending.remaining("cleveland", "heart")
    assert spending.remaining("zurich", "heart").left > 0


@pytest.mark.parametrize("body", DESTROYED)
def test_there_is_no_report_of_it_and_the_ledgers_page_says_why(officer, body):
    plan = Entry.objects.filter(kind="sealed").first().sequence
    destroy(plan, body)
    for address in ("/studies/heart/report/", "/studies/heart/report.json"):
        text = officer.get(address, follow=True).content.decode()
        assert f"There is no report of a broken ledger: entry {plan} cannot be read" in text


def test_no_destroyed_row_takes_a_report_away(officer):
    for row in list(Entry.objects.all()):
        destroy(row.sequence, "no JSON")
        assert officer.get("/studies/heart/report/").status_code in (200, 302)
        destroy(row.sequence, row.body)


def test_the_planner_and_the_approval_page_say_so(client):
    found = world.build()
    world.play(found)
    forging.unguard()
    plan = Entry.objects.filter(kind="sealed", institution="cleveland").get().sequence
    destroy(plan, '{"plan":[{}]}')
    client.force_login(found.lead)
    target = {"privacy-target_epsilon": "1", "privacy-noise_multiplier": ""}
    text = client.post("/planner/", filled(small_protocol(), **target)).content.decode()
    assert f"entry {plan} cannot be read" in text
    client.force_login(found.officer)
    panel = "/studies/heart/institutions/cleveland/panels/lending/"
    assert f"entry {plan} cannot be read" in client.get(panel).content.decode()
