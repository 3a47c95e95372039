"""The hub watches budgets and its own ledger, and says each thing once."""

import pytest

from accounting.dp.accountants import epsilon
from accounting.models import LedgerHead
from accounting.services import budgets, returning, watching
from accounting.tasks import verify_ledger
from studies.models import Event
from studies.selectors.timeline import sentence
from tests.accounting import builders as b
from tests.accounting import world

pytestmark = pytest.mark.django_db


def told(kind="budget_low"):
    return list(Event.objects.filter(kind=kind).order_by("pk"))


def spend(study, rounds, slug="cleveland", first=1):
    for number in range(first, first + rounds):
        where = b.key(slug, number, study=study)
        watching.look([b.reserve(where, b.TRAIN, b.Limit(9.0, 1e-3))])


@pytest.fixture
def study(db):
    return world.build().study


def test_a_budget_with_room_is_not_news(study):
    spend("heart", 2)
    assert told() == []


def test_a_dataset_above_four_fifths_is_told_to_its_house_once(study):
    house = b.institution("cleveland")
    returning.give_back("heart")
    budgets.lower(house, "heart", "1.0", by=world.person("carl"), reason="fewer")
    spend("another", 4)
    (event,) = told()
    assert (event.study, event.institution) == (None, house)
    assert event.payload["what"] == "dataset heart"
    assert 80 <= event.payload["percent"] <= 100


def test_what_other_studies_have_committed_is_said_where_it_counts(study):
    """Beyond its plan an event must leave the room of plans that stand: they are in its figure."""
    budgets.lower(
        b.institution("cleveland"), "heart", "1.6", by=world.person("carl"), reason="fewer"
    )
    spend("another", 2)
    (event,) = told()
    assert event.payload["how"] == "spent, reserved or committed to other studies"
    assert "is spent, reserved or committed to other studies" in sentence(event)
    spent = epsilon(b.events_of(None, "cleveland", "heart"), 1e-3).epsilon
    assert spent < 0.8 * 1.6


def test_where_nothing_else_is_committed_nothing_else_is_said(study):
    returning.give_back("heart")
    budgets.lower(
        b.institution("cleveland"), "heart", "1.0", by=world.person("carl"), reason="fewer"
    )
    spend("another", 4)
    assert "% of the privacy budget of dataset heart is spent or reserved" in sentence(told()[0])


def test_another_budget_for_the_same_dataset_is_told_again(study):
    house, carl = b.institution("cleveland"), world.person("carl")
    returning.give_back("heart")
    budgets.lower(house, "heart", "1.4", by=carl, reason="fewer")
    spend("another", 6)
    budgets.lower(house, "heart", "1.35", by=carl, reason="fewer still")
    spend("another", 1, first=7)
    assert [event.payload["limit"] for event in told()] == ["1.4", "1.35"]


def test_a_study_above_four_fifths_is_told_once_for_all_its_sites(study):
    for number in range(1, 5):
        for slug in world.SITES:
            where = b.key(slug, number)
            limit = b.Limit(0.9, 1e-3)
            watching.look([b.reserve(where, b.TRAIN, limit, study.protocol_digest)])
    (event,) = told()
    assert (event.study, event.institution) == (study, None)
    assert event.payload["reason"] == "as its sealed plan foresees"


def test_a_ledger_that_breaks_is_an_alert_once(study):
    verify_ledger()
    verify_ledger()
    assert [len(told("ledger_verified")), len(told("ledger_broken"))] == [1, 0]
    LedgerHead.objects.update(digest="f" * 64)
    verify_ledger()
    verify_ledger()
    (event,) = told("ledger_broken")
    assert "head" in event.payload["reason"]


def test_a_ledger_that_holds_again_is_told(study):
    head = LedgerHead.objects.get()
    LedgerHead.objects.update(digest="f" * 64)
    verify_ledger()
    LedgerHead.objects.update(digest=head.digest)
    verify_ledger()
    assert [event.by for event in told("ledger_verified")] == [None]
