"""Reserve, charge, release: each once, each chained, each refused where it may not be."""

import json

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError

from accounting.canonical import GENESIS, chained
from accounting.dp.accountants import epsilon
from accounting.models import Entry, LedgerHead
from accounting.services import ledger
from accounting.services.ledger import BudgetExceeded, Conflict, IllegalTransition, Limit, NotLent
from accounting.services.verification import verify
from tests.accounting import builders as b
from tests.accounting import moves

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _lent():
    b.lend("cleveland")


def test_each_row_is_chained_to_the_one_before_it():
    b.seal()
    b.whole_round(b.key())
    previous = GENESIS
    for number, entry in enumerate(Entry.objects.all(), start=1):
        assert entry.sequence == number
        assert entry.previous_digest == previous
        assert entry.digest == chained(previous, entry.body)
        previous = entry.digest
    head = LedgerHead.objects.get()
    assert (head.size, head.digest) == (6, previous)


def test_a_reservation_stores_the_event_and_the_composed_figure():
    b.seal()
    b.reserve(b.key(number=1))
    second = json.loads(b.reserve(b.key(number=2)).body)
    assert second["event"] == b.TRAIN.to_json()
    assert second["sealed"] is True
    figure = epsilon([b.TRAIN, b.TRAIN], b.LIMIT.delta)
    assert second["figure"]["epsilon"] == repr(figure.epsilon)
    assert second["figure"]["accountant"] == "pld"


@pytest.mark.parametrize("again", range(2))
def test_the_same_call_twice_is_one_row(again):
    first = b.reserve(b.key())
    assert b.reserve(b.key()).pk == first.pk
    for move in (
        lambda: ledger.charge(b.key()),
        lambda: moves.release(b.key(), "c" * 64),
        lambda: moves.acknowledge(b.key(), "d" * 64),
        lambda: ledger.charge(b.key()),
    ):
        assert move().pk == move().pk
    assert Entry.objects.filter(round=1).count() == 4


def test_a_key_binds_event_protocol_and_digest():
    b.reserve(b.key())
    with pytest.raises(Conflict, match="another event"):
        b.reserve(b.key(), event=b.EVALUATE)
    with pytest.raises(Conflict, match="another protocol_digest"):
        b.reserve(b.key(), protocol="e" * 64)
    ledger.charge(b.key())
    moves.release(b.key(), "c" * 64)
    with pytest.raises(Conflict, match="another tensors_digest"):
        moves.release(b.key(), "d" * 64)


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ((), "charge"),
        (("charge",), "abort"),
        (("charge", "release"), "abort_with_evidence"),
        (("abort",), "charge"),
        (("lose",), "charge"),
        (("charge", "release"), "lose"),
        (("charge", "refuse"), "release"),
    ],
)
def test_illegal_transitions_are_refused(before, then):
    where = b.key()
    act = {
        "charge": lambda: ledger.charge(where),
        "release": lambda: moves.release(where, "c" * 64),
        "lose": lambda: moves.lose(where, "no answer"),
        "refuse": lambda: moves.refuse(where, "not finite"),
        "abort": lambda: moves.abort(where, "not taken"),
        "abort_with_evidence": lambda: moves.abort(where, "not read", evidence="e" * 64),
    }
    if before:
        b.reserve(where)
    for name in before:
        act[name]()
    size = LedgerHead.objects.get().size
    with pytest.raises(IllegalTransition, match=r"cannot become|own signed word"):
        act[then]()
    assert LedgerHead.objects.get().size == size


def test_an_aborted_reservation_costs_nothing_and_a_lost_one_its_price():
    b.reserve(b.key(number=1))
    moves.abort(b.key(number=1), "never taken")
    b.reserve(b.key(number=1, attempt=2))
    moves.lose(b.key(number=1, attempt=2), "taken, not answered")
    third = json.loads(b.reserve(b.key(number=2)).body)
    two = epsilon([b.TRAIN, b.TRAIN], b.LIMIT.delta)
    assert third["figure"]["epsilon"] == repr(two.epsilon)


def test_the_sites_signed_word_gives_a_charge_back():
    b.reserve(b.key())
    ledger.charge(b.key())
    moves.abort(b.key(), "refused before access", evidence="e" * 64)
    again = json.loads(b.reserve(b.key(attempt=2)).body)
    assert again["figure"]["epsilon"] == repr(epsilon([b.TRAIN], b.LIMIT.delta).epsilon)


def test_the_study_budget_stops_the_whole_cohort_and_writes_nothing():
    b.lend("zurich")
    tight = Limit(0.55, 1e-3)
    b.reserve(b.key("zurich", number=1), limit=tight)
    size = LedgerHead.objects.get().size
    requests = [
        b.reservation(b.key(site, number=2), limit=tight) for site in ("cleveland", "zurich")
    ]
    with pytest.raises(BudgetExceeded, match="the study heart at zurich") as caught:
        ledger.reserve_all(requests)
    assert (caught.value.scope, caught.value.institution) == ("study", "zurich")
    assert caught.value.figure.epsilon > tight.epsilon
    assert LedgerHead.objects.get().size == size


def test_the_lifetime_budget_counts_other_studies():
    b.lend("cleveland", epsilon="0.8")
    for number in (1, 2):
        b.reserve(b.key(number=number, study="earlier"))
    with pytest.raises(BudgetExceeded) as caught:
        b.reserve(b.key())
    assert caught.value.scope == "dataset"
    assert caught.value.figure.accountant == "rdp"


def test_a_sealed_plan_is_judged_by_pld_and_an_unsealed_one_by_the_filter():
    plan = [b.TRAIN] * 4
    exact = Limit(epsilon(plan, 1e-3).epsilon, 1e-3)
    assert epsilon(plan, 1e-3, "rdp").epsilon > exact.epsilon
    b.seal(limit=exact)
    for number in range(1, 5):
        b.reserve(b.key(number=number), limit=exact)
    b.lend("zurich")
    requests = [b.reservation(b.key("zurich", number=n), limit=exact) for n in range(1, 5)]
    with pytest.raises(BudgetExceeded):
        ledger.reserve_all(requests)


def test_an_attempt_beyond_the_plan_is_judged_by_the_filter():
    """A plan of four rounds holds four; a fifth was chosen after looking, whatever its noise."""
    b.seal(rounds=4)
    rows = [json.loads(b.reserve(b.key(number=n)).body) for n in (1, 2, 3)]
    moves.lose(b.key(number=3), "no answer before the deadline")
    rows += [json.loads(b.reserve(b.key(number=3, attempt=2)).body)]
    rows += [json.loads(b.reserve(b.key(number=4)).body)]
    assert [row["sealed"] for row in rows] == [True, True, True, True, False]
    assert [row["checks"][0]["accountant"] for row in rows][-1] == "rdp"
    assert verify().ok


def test_an_attempt_that_was_given_back_leaves_the_plan_whole():
    b.seal(rounds=2)
    b.reserve(b.key(number=1))
    moves.abort(b.key(number=1), "never taken")
    b.reserve(b.key(number=1, attempt=2))
    assert json.loads(b.reserve(b.key(number=2)).body)["sealed"] is True


def test_a_dataset_that_nobody_lends_is_refused():
    with pytest.raises(NotLent, match="lends no dataset 'lungs'"):
        b.reserve(b.key(lineage="lungs"))


@pytest.mark.parametrize(
    "statement",
    ["UPDATE accounting_entry SET lineage = 'x'", "DELETE FROM accounting_entry"],
)
def test_the_database_refuses_to_change_a_row(statement):
    b.reserve(b.key())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)
    assert Entry.objects.filter(lineage="heart").count() == 2


def test_an_append_belongs_to_the_callers_transaction():
    def reserve_and_fail():
        with transaction.atomic():
            b.reserve(b.key())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        reserve_and_fail()
    assert LedgerHead.objects.get().size == 1
    assert not Entry.objects.filter(round=1).exists()


def test_moves_of_one_key_may_follow_each_other_in_one_call(django_assert_max_num_queries):
    b.reserve(b.key())
    moves = [
        ledger.Move(b.key(), "charged", {}),
        ledger.Move(b.key(), "released", {"tensors_digest": "c" * 64}),
    ]
    with django_assert_max_num_queries(7):  # two are the savepoint's, one the running sum's
        rows = ledger.record(moves)
    assert [row.kind for row in rows] == ["charged", "released"]
    assert ledger.record(moves)[1].pk == rows[1].pk
