"""What a study sealed and never reserved is given back at its end, in the filter's currency."""

import json
from dataclasses import replace

import pytest

from accounting.dp.accountants import rdp
from accounting.dp.currency import renyi
from accounting.models import Entry
from accounting.services import returning
from accounting.services.ledger import Limit, PlanExceeds
from accounting.services.verification import verify
from tests.accounting import builders as b
from tests.accounting import moves

pytestmark = pytest.mark.django_db
WIDE = Limit(9.0, 1e-3)


@pytest.fixture(autouse=True)
def _lent():
    b.lend("cleveland", epsilon="2.0")


def test_a_study_stopped_after_two_of_ten_rounds_makes_room_for_the_next():
    b.seal(rounds=10, limit=WIDE)
    for number in (1, 2):
        b.whole_round(b.key(number=number))
    with pytest.raises(PlanExceeds):
        b.seal(rounds=7, study="lungs", limit=WIDE)
    (row,) = returning.give_back("heart")
    b.seal(rounds=7, study="lungs", limit=WIDE)
    body = json.loads(row.body)
    (left,) = body["plan_left"]
    assert (left["steps"], left["unit"]) == (8 * b.TRAIN.steps, "patient")
    at = rdp.ORDERS.tolist().index(float(body["order"]))
    expected = 8 * b.TRAIN.steps * rdp.curve(b.TRAIN.noise_multiplier, b.TRAIN.sample_rate)[at]
    assert float(body["rdp_returned"]) == pytest.approx(expected)
    for number in range(1, 8):
        b.reserve(b.key(number=number, study="lungs"), limit=WIDE)
    verdict = verify()
    assert verdict.ok, verdict.sentence()


def test_it_is_returned_once_and_nothing_where_nothing_stands():
    assert returning.give_back("heart") == []
    b.seal(limit=WIDE)
    assert len(returning.give_back("heart")) == 1
    assert returning.give_back("heart") == []
    assert Entry.objects.filter(kind="returned").count() == 1


def test_one_institution_returns_alone():
    b.lend("zurich")
    b.seal(limit=WIDE)
    b.seal("zurich", limit=WIDE)
    (row,) = returning.give_back("heart", institution="zurich")
    assert row.idempotency_key == f"heart/zurich/returned/{b.PROTOCOL}"
    (other,) = returning.give_back("heart")
    assert other.institution == "cleveland"
    assert verify().ok


def test_a_whole_plan_returns_nothing_and_is_committed_no_longer():
    b.seal(rounds=2, limit=WIDE)
    for number in (1, 2, 3):
        b.reserve(b.key(number=number), limit=WIDE)
    (row,) = returning.give_back("heart")
    body = json.loads(row.body)
    assert (body["plan_left"], body["rdp_returned"]) == ([], "0.0")
    assert verify().ok


def test_what_an_open_round_reserved_comes_back_by_its_own_row():
    b.seal(rounds=2, limit=WIDE)
    b.reserve(b.key(number=1), limit=WIDE)
    (row,) = returning.give_back("heart")
    assert json.loads(row.body)["plan_left"][0]["steps"] == b.TRAIN.steps
    moves.abort(b.key(number=1), "the study is withdrawn")
    assert verify().ok


def test_after_its_return_a_plan_seals_nothing():
    b.seal(rounds=2, limit=WIDE)
    returning.give_back("heart")
    row = json.loads(b.reserve(b.key(number=1), limit=WIDE).body)
    assert row["sealed"] is False
    assert row["checks"][1]["accountant"] == "rdp"
    assert verify().ok


def test_the_currency_adds_up():
    parts = [replace(b.TRAIN, steps=3), b.EVALUATE, replace(b.TRAIN, steps=5)]
    order = 4.7
    assert renyi(parts, order) == pytest.approx(sum(renyi([part], order) for part in parts))
    assert renyi([], order) == 0
    with pytest.raises(ValueError, match="not on the grid"):
        renyi(parts, 4.71)
