"""What still fits a filter: additive, exact at its order, and told coarsely to who may not see."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import rdp
from accounting.dp.calibration import CalibrationError, next_noise
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.filters import best_order, fits_adaptively, room
from accounting.dp.fitting import Answer, coarse, divergence, rounds_within
from tests.dp.histories_drawn import sampled

ORDER = best_order(2.0, 1e-5)
AT = int((rdp.ORDERS == ORDER).argmax())


@given(st.floats(0.5, 30.0), st.sampled_from([0.01, 0.3, 1.0]), st.integers(1, 50))
def test_a_divergence_is_the_renyi_accountants(noise: float, rate: float, steps: int) -> None:
    events = [sampled(noise, rate, steps)]
    assert divergence(events, ORDER) == pytest.approx(rdp.composed(events)[AT], rel=1e-6)


def test_a_unit_with_several_rows_costs_what_the_accountant_says() -> None:
    event = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 4.0, 0.1, 7, rows_per_unit=3)
    assert divergence([event], ORDER) == pytest.approx(rdp.composed([event])[AT])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0.01, 2.0), max_size=20), st.floats(-1.0, 20.0))
def test_rounds_fit_one_after_the_other(costs: list[float], left: float) -> None:
    held = rounds_within(costs, left)
    assert held == 0 or sum(costs[:held]) <= left * (1 + 1e-8)
    assert held == len(costs) or sum(costs[: held + 1]) > left


def test_a_plan_that_meets_its_room_exactly_fits() -> None:
    assert rounds_within([0.1] * 3, 0.1 + 0.1 + 0.1) == 3


@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_a_coarse_answer_is_never_wrong(cost: float, left: float) -> None:
    answer = coarse(cost, left)
    assert answer is not Answer.FITS or cost <= left
    assert answer is not Answer.SHORT or cost > left


@given(st.floats(1e-3, 1e3))
def test_trying_tells_the_room_to_a_factor_of_two_only(left: float) -> None:
    """Between the largest plan that surely fits and the smallest that surely does not."""
    tried = [1e-4 * 1.05**n for n in range(400)]
    yes = max(cost for cost in tried if coarse(cost, left) is Answer.FITS)
    no = min(cost for cost in tried if coarse(cost, left) is Answer.SHORT)
    assert no / yes > 1.9
    same = 2.0 ** math.floor(math.log2(left)) * 1.01
    assert [coarse(c, left) for c in tried] == [coarse(c, same) for c in tried]


@pytest.mark.parametrize(("cost", "left"), [(0.0, 1.0), (1.0, 0.0), (1.0, -3.0)])
def test_nothing_left_is_the_sites_to_tell(cost: float, left: float) -> None:
    assert coarse(cost, left) is Answer.ASK


@given(
    st.floats(0.5, 8.0),
    st.sampled_from([0.01, 0.1, 0.5, 1.0]),
    st.integers(1, 20),
    st.integers(1, 40),
)
def test_the_next_noise_fits_and_less_would_not(
    limit: float, rate: float, steps: int, rounds: int
) -> None:
    order, spent = best_order(limit, 1e-5), [sampled(30.0, 0.1, 10)]
    left = room(spent, limit, 1e-5, order)
    plan = {"order": order, "sample_rate": rate, "steps_per_round": steps, "rounds_left": rounds}
    noise = next_noise(room=left, **plan)
    kept = [*spent, sampled(noise, rate, steps * rounds)]
    assert fits_adaptively(kept, limit * (1 + 1e-9), 1e-5, order).fits
    if noise > 0.1:
        less = [*spent, sampled(noise * 0.999 - 1e-4, rate, steps * rounds)]
        assert not fits_adaptively(less, limit, 1e-5, order).fits


def test_a_round_that_spent_less_leaves_quieter_rounds() -> None:
    plan = {"order": ORDER, "sample_rate": 0.1, "steps_per_round": 4}
    left = room((), 2.0, 1e-5, ORDER)
    first = next_noise(room=left, rounds_left=10, **plan)
    after = room([sampled(2 * first, 0.1, 4)], 2.0, 1e-5, ORDER)
    assert next_noise(room=after, rounds_left=9, **plan) < first


@pytest.mark.parametrize("left", [0.0, -1.0, 1e-13])
def test_without_room_there_is_no_next_round(left: float) -> None:
    plan = {"order": ORDER, "sample_rate": 0.5, "steps_per_round": 4}
    with pytest.raises(CalibrationError, match="end the study here"):
        next_noise(room=left, rounds_left=3, **plan)


def test_no_rounds_left_is_refused() -> None:
    with pytest.raises(ValueError, match="rounds_left"):
        next_noise(room=1.0, order=8.0, sample_rate=0.1, steps_per_round=1, rounds_left=0)
