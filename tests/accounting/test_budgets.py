"""Lifetime budgets follow the site downwards at once, and never upwards."""

import pytest

from accounting.models import DatasetBudget, Entry
from accounting.services import budgets
from accounting.services.budgets import BudgetError
from accounting.services.ledger import BudgetExceeded
from accounting.services.verification import verify
from studies.models import Event
from tests.accounting import builders as b
from tests.accounting import world as w

pytestmark = pytest.mark.django_db


def test_the_first_offer_lends_up_to_the_sites_cap():
    row = b.lend("cleveland", epsilon="3.0")
    assert (row.epsilon, row.site_cap, row.delta) == ("3.0", "3.0", "0.001")


def test_the_same_offer_again_writes_nothing():
    b.lend("cleveland")
    b.lend("cleveland")
    assert Entry.objects.count() == 1


def test_a_fallen_cap_lowers_at_once_and_a_risen_one_raises_nothing():
    b.lend("cleveland", epsilon="3.0")
    assert b.lend("cleveland", epsilon="2.0").epsilon == "2.0"
    risen = b.lend("cleveland", epsilon="9.0")
    assert (risen.epsilon, risen.site_cap) == ("2.0", "9.0")
    assert Event.objects.filter(kind="budget_lowered").count() == 1
    assert verify().ok


def test_the_filters_order_is_fixed_by_the_first_loss():
    wide = b.lend("cleveland", epsilon="3.0").filter_order
    narrow = b.lend("cleveland", epsilon="1.5").filter_order
    assert float(narrow) > float(wide)
    b.whole_round(b.key())
    assert b.lend("cleveland", epsilon="0.9").filter_order == narrow
    assert verify().ok


def test_a_looser_delta_is_not_taken_over():
    b.lend("cleveland", delta="0.0001")
    assert b.lend("cleveland", delta="0.01").delta == "0.0001"


def test_two_names_of_one_lineage_share_the_lower_cap():
    datasets = [
        {"name": "a", "lineage": "root", "epsilon": "3", "delta": "0.001"},
        {"name": "b", "lineage": "root", "epsilon": "2", "delta": "0.0001"},
    ]
    (row,) = budgets.declare(b.institution("cleveland"), datasets)
    assert (row.epsilon, row.delta) == ("2", "0.0001")


def test_an_admin_lowers_with_a_reason_and_cannot_raise():
    b.lend("cleveland")
    admin = w.person("alex")
    house = b.institution("cleveland")
    budgets.lower(house, "heart", "0.5", by=admin, reason="board decision")
    event = Event.objects.get(kind="budget_lowered")
    assert (event.by, event.payload["before"], event.payload["after"]) == (admin, "3.0", "0.5")
    with pytest.raises(BudgetError, match="needs two people"):
        budgets.lower(house, "heart", "0.6", by=admin, reason="second thoughts")
    assert DatasetBudget.objects.get().epsilon == "0.5"
    assert verify().ok


def test_lowering_below_what_was_spent_stops_everything():
    b.lend("cleveland")
    b.whole_round(b.key())
    budgets.lower(b.institution("cleveland"), "heart", "0.1", by=w.person("alex"), reason="stop")
    with pytest.raises(BudgetExceeded, match="the lifetime of dataset heart"):
        b.reserve(b.key(number=2))
    assert verify().ok


@pytest.mark.parametrize("epsilon", ["", "three", "0", "-1", "NaN", "Infinity", "1" * 40])
def test_a_malformed_offer_changes_nothing(epsilon):
    with pytest.raises(BudgetError, match="epsilon is"):
        b.lend("cleveland", epsilon=epsilon)
    assert not DatasetBudget.objects.exists()


@pytest.mark.parametrize("delta", ["0", "1", "1e-12", "x"])
def test_a_malformed_delta_changes_nothing(delta):
    with pytest.raises(BudgetError, match="delta is"):
        b.lend("cleveland", delta=delta)
