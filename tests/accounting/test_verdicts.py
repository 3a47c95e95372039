"""The ledger's page says of each row what the last verification says, while it still holds."""

import pytest
from django.urls import reverse

from accounting.canonical import canonical_json
from accounting.models import Entry, LedgerCheckpoint
from accounting.selectors import verdicts
from accounting.selectors.verdicts import Standing
from tests.accounting import builders as b
from tests.accounting import forging, world

pytestmark = pytest.mark.django_db


@pytest.fixture
def officer(client):
    """26 entries, and somebody who may verify them."""
    found = world.build()
    world.play(found)
    client.force_login(found.officer)
    return client


def verify(client) -> str:
    return client.post(reverse("ledger-verify"), follow=True).content.decode()


def standings() -> list[Standing]:
    return [line.verdict for line in verdicts.lines(Entry.objects.order_by("sequence"))]


def test_before_any_verification_nothing_is_judged(officer):
    assert set(standings()) == {Standing.NEW}
    assert "Nothing was signed yet" in officer.get(reverse("ledger")).content.decode()


def test_after_it_each_row_is_proved_to_be_the_one_that_was_verified(officer):
    text = verify(officer)
    assert set(standings()) == {Standing.VERIFIED}
    assert text.count("status-good") >= 12
    checkpoint = LedgerCheckpoint.objects.get()
    assert checkpoint.size == Entry.objects.count()
    assert f"Signed by this hub at {checkpoint.size} entries" in text
    assert checkpoint.root[:12] in text


def test_rows_written_since_wait_for_the_next_one(officer):
    verify(officer)
    b.reserve(b.key(number=9))
    assert [verdict for verdict in standings() if verdict is not Standing.VERIFIED] == [
        Standing.NEW
    ]


def test_a_row_that_was_changed_since_is_seen_without_verifying_again(officer):
    verify(officer)
    forging.unguard()
    Entry.objects.filter(sequence=7).update(body='{"kind":"forged"}')
    found = standings()
    assert found[6] is Standing.CHANGED
    assert found.count(Standing.VERIFIED) == len(found) - 1
    page = officer.get(reverse("ledger-study", args=["heart"])).content.decode()
    assert "not the entry that was verified" in page
    assert "its body cannot be read" in page


def test_a_rewritten_history_matches_no_verdict(officer):
    verify(officer)
    forging.unguard()
    forging.forge(8, lambda body: body.update(at="2020-01-01T00:00:00.000000Z"))
    assert Standing.VERIFIED not in standings()[7:]


@pytest.mark.parametrize("body", ["no JSON", "[]", canonical_json({"sequence": 7})])
def test_the_first_wrong_row_is_named_and_those_after_it_are_not_judged(officer, body):
    forging.unguard()
    Entry.objects.filter(sequence=7).update(body=body)
    text = verify(officer)
    assert "ledger broken at entry 7" in text
    found = standings()
    assert found[:6] == [Standing.VERIFIED] * 6
    assert found[6] is Standing.WRONG
    assert set(found[7:]) == {Standing.AFTER}
    assert not LedgerCheckpoint.objects.exists()


def test_a_missing_row_leaves_nothing_proved(officer):
    verify(officer)
    forging.unguard()
    Entry.objects.filter(sequence=16).delete()
    assert Standing.VERIFIED not in standings()


def test_proofs_of_a_page_are_one_query(officer, django_assert_max_num_queries):
    verify(officer)
    rows = list(Entry.objects.all()[:12])
    with django_assert_max_num_queries(2):
        verdicts.lines(rows)


def test_the_whole_ledger_is_offered_to_officers_of_the_federation(officer):
    assert 'id="ledger-bundle"' in officer.get(reverse("ledger")).content.decode()
