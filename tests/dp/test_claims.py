"""What may be claimed of a history: the sum of a sealed one, the filter's bound of a chosen one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.claims import Filter, claim, widest
from accounting.dp.filters import best_order, fits_adaptively, room
from tests.dp.histories_drawn import sampled

DELTA = 1e-5
ORDER = best_order(3.0, DELTA)
KEPT = Filter(3.0, DELTA, ORDER)
STEP = sampled(2.0, 0.05, 40)


def test_a_sealed_history_is_claimed_tightly() -> None:
    found = claim([STEP], DELTA)
    assert found.claimed == found.spent == epsilon([STEP], DELTA)
    assert not found.is_odometer


def test_a_chosen_history_is_claimed_by_what_its_filter_lets_pass() -> None:
    found = claim([STEP], DELTA, KEPT)
    assert (found.claimed.epsilon, found.claimed.accountant) == (3.0, "rdp")
    assert found.claimed.shown() == "3.000"
    assert found.claimed.discretisation == f"order {ORDER:g}, sealed in advance"


def test_what_was_spent_so_far_is_an_odometer_by_the_same_filter() -> None:
    found = claim([STEP], DELTA, KEPT)
    assert found.is_odometer
    assert found.spent == fits_adaptively([STEP], 3.0, DELTA, ORDER).figure
    assert found.spent.epsilon < found.claimed.epsilon


def test_what_is_left_is_what_the_filter_still_admits() -> None:
    found = claim([STEP], DELTA, KEPT)
    assert found.divergence_left == pytest.approx(room([STEP], 3.0, DELTA, ORDER))
    assert found.left(3.0) == pytest.approx(3.0 - found.spent.epsilon)


def test_nothing_costs_nothing_whoever_chose_it() -> None:
    assert claim([], DELTA, KEPT).claimed.epsilon == 0.0


def test_a_budget_lowered_below_what_was_spent_hides_nothing() -> None:
    found = claim([STEP] * 50, DELTA, Filter(0.1, DELTA, ORDER))
    assert found.claimed == found.spent
    assert found.divergence_left == 0.0


def test_of_all_limits_that_a_filter_had_the_widest_counts() -> None:
    assert widest([Filter(1.0, DELTA, ORDER), KEPT, Filter(2.0, DELTA, ORDER)]) == KEPT


@given(st.integers(1, 2000), st.sampled_from([1e-3, 1e-5, 1e-7]))
def test_a_claim_is_never_below_what_was_spent(steps: int, delta: float) -> None:
    found = claim([sampled(2.0, 0.05, steps)], delta, KEPT)
    assert found.claimed.epsilon >= found.spent.epsilon
