"""A sealed plan holds its room: others are refused at their start, never half-way."""

import json

import pytest

from accounting.dp.accountants import epsilon
from accounting.models import DatasetBudget, Entry, LedgerHead
from accounting.selectors import lending
from accounting.services import budgets, ledger
from accounting.services.ledger import BudgetExceeded, Limit, MixedUnits, NotLent, PlanExceeds
from accounting.services.verification import verify
from tests.accounting import builders as b
from tests.accounting import world as w

pytestmark = pytest.mark.django_db
WIDE = Limit(9.0, 1e-3)
ROUNDS = 6


def cost(rounds: int, accountant: str = "pld") -> float:
    return epsilon([b.TRAIN] * rounds, 1e-3, accountant).epsilon


def test_alone_a_plan_may_take_its_budget_to_the_last_bit():
    assert cost(ROUNDS, "rdp") > cost(ROUNDS)
    b.lend("cleveland", epsilon=repr(cost(ROUNDS)))
    body = json.loads(b.seal(rounds=ROUNDS, limit=WIDE).body)
    (check,) = body["checks"]
    assert (check["scope"], check["accountant"]) == ("dataset", "pld")
    assert check["epsilon"] == repr(cost(ROUNDS))
    assert body["filter_order"] == DatasetBudget.objects.get().filter_order
    for number in range(1, ROUNDS + 1):
        b.reserve(b.key(number=number), limit=WIDE)
    assert verify().ok


def test_a_plan_above_the_budget_is_refused_and_nothing_is_written():
    b.lend("cleveland", epsilon="0.9")
    size = LedgerHead.objects.get().size
    with pytest.raises(PlanExceeds, match="the study's whole plan would bring") as refusal:
        b.seal(rounds=ROUNDS, limit=WIDE)
    assert "per patient" in str(refusal.value)
    assert LedgerHead.objects.get().size == size


def test_the_second_study_is_refused_at_its_start_and_the_first_runs_to_its_end():
    b.lend("cleveland", epsilon="1.5")
    b.seal(rounds=ROUNDS, limit=WIDE)
    with pytest.raises(PlanExceeds) as refusal:
        b.seal(rounds=ROUNDS, study="lungs", limit=WIDE)
    assert refusal.value.figure.accountant == "rdp"
    for number in range(1, ROUNDS + 1):
        b.reserve(b.key(number=number), limit=WIDE)
    assert verify().ok


def test_two_plans_that_fit_both_run_to_their_ends_in_any_order():
    b.lend("cleveland", epsilon="3.0")
    for study in ("heart", "lungs"):
        b.seal(rounds=ROUNDS, study=study, limit=WIDE)
    for number in range(1, ROUNDS + 1):
        for study in ("lungs", "heart"):
            b.reserve(b.key(number=number, study=study), limit=WIDE)
    assert verify().ok


def test_a_repeated_attempt_leaves_the_room_of_others_and_uses_its_own():
    """The budget holds two plans and two more rounds: beyond that, the other's room is not its."""
    b.lend("cleveland", epsilon="1.95")
    b.seal(rounds=ROUNDS, limit=WIDE)
    b.seal(rounds=ROUNDS, study="lungs", limit=WIDE)
    for attempt in range(1, ROUNDS + 3):
        b.reserve(b.key(number=1, attempt=attempt), limit=WIDE)
    with pytest.raises(BudgetExceeded, match="the lifetime of dataset heart"):
        b.reserve(b.key(number=1, attempt=ROUNDS + 3), limit=WIDE)
    for number in range(1, ROUNDS + 1):
        b.reserve(b.key(number=number, study="lungs"), limit=WIDE)
    assert verify().ok


def test_lowered_meanwhile_the_study_runs_until_the_budget_is_spent():
    b.lend("cleveland", epsilon="3.0")
    b.seal(rounds=ROUNDS, limit=WIDE)
    b.seal(rounds=ROUNDS, study="lungs", limit=WIDE)
    budgets.lower(b.institution("cleveland"), "heart", "1.6", by=w.person("alex"), reason="fewer")
    for number in (1, 2, 3):
        b.reserve(b.key(number=number), limit=WIDE)
        b.reserve(b.key(number=number, study="lungs"), limit=WIDE)
    with pytest.raises(BudgetExceeded):
        b.reserve(b.key(number=4), limit=WIDE)
    assert verify().ok


def test_the_order_of_the_filter_is_fixed_by_the_first_commitment():
    order = b.lend("cleveland", epsilon="3.0").filter_order
    b.seal(rounds=1, limit=WIDE)
    assert b.lend("cleveland", epsilon="0.9").filter_order == order
    assert verify().ok


def test_no_plan_is_sealed_on_a_dataset_that_nobody_lends():
    with pytest.raises(NotLent, match="must send an offer"):
        b.seal()


def test_no_plan_is_sealed_beside_one_for_another_unit():
    b.lend("cleveland", epsilon="9.0")
    b.seal(limit=WIDE)
    with pytest.raises(MixedUnits, match="this study is charged per row"):
        ledger.seal(
            study="lungs",
            institution="cleveland",
            lineage="heart",
            plan_events=[b.TRAIN],
            protocol_digest=b.PROTOCOL,
            unit="row",
            study_limit=WIDE,
        )
    assert Entry.objects.filter(kind="sealed").count() == 1


def test_the_same_seal_twice_is_one_row_even_without_room_for_two():
    b.lend("cleveland", epsilon=repr(cost(ROUNDS)))
    assert b.seal(rounds=ROUNDS, limit=WIDE).pk == b.seal(rounds=ROUNDS, limit=WIDE).pk


def test_the_prospect_is_what_sealing_will_say():
    b.lend("cleveland", epsilon="1.5")
    (row,) = lending.prospects("heart", "cleveland", (b.TRAIN,) * ROUNDS)
    assert (row.fits, row.shown_committed) == (True, "0.000")
    b.seal(rounds=ROUNDS, limit=WIDE)
    (again,) = lending.prospects("heart", "cleveland", (b.TRAIN,) * ROUNDS)
    assert again.after == row.after
    (other,) = lending.prospects("lungs", "cleveland", (b.TRAIN,) * ROUNDS)
    assert not other.fits
    assert other.before.epsilon == 0
    assert other.committed.epsilon == cost(ROUNDS)
    (fewer,) = lending.prospects("lungs", "cleveland", (b.TRAIN,))
    assert fewer.fits
    b.seal(rounds=1, study="lungs", limit=WIDE)
