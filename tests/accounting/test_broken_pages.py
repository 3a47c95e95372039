"""Whoever destroys a row finds every page still there, saying that the ledger is broken."""

import json

import pytest
from django.urls import reverse

from accounting.models import Entry
from accounting.selectors import commitments, spending
from tests.accounting import forging, world

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
