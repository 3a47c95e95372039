"""A draft is priced by the reference accountant, round by round, never above its target."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.calibration import CalibrationError, calibrate
from accounting.dp.events import PrivacyEvent
from accounting.dp.filters import best_order, fits_adaptively
from accounting.dp.planning import (
    ADAPTIVE,
    LISTED,
    MOST_LEVELS,
    Draft,
    Outlook,
    listed,
    outlook,
    rounds_held,
)
from accounting.dp.schedules import shape
from accounting.dp.shared_noise import Cohort
from tests.dp.histories_drawn import sampled

PLAIN = {"rounds": 20, "steps": 4, "sample_rate": 0.1, "delta": 1e-5}
TARGET = Draft(**PLAIN, target=1.0)


def until(found: Outlook, number: int) -> tuple[PrivacyEvent, ...]:
    """Everything up to and including round `number`."""
    return tuple(chain.from_iterable(found.rounds()[:number]))


@pytest.mark.parametrize("schedule", ["uniform", "harmonic", (1.0, 3.0, 2.0) * 6 + (1.0, 1.0)])
def test_the_noise_is_calibrations(schedule: str | tuple[float, ...]) -> None:
    found = outlook(Draft(**PLAIN, schedule=schedule, target=1.0))
    assert found.noise == calibrate(
        target_epsilon=1.0,
        delta=1e-5,
        shape=shape(schedule, 20),
        sample_rate=0.1,
        steps_per_round=4,
    )
    assert 0.997 <= found.figure.epsilon <= 1.0


def test_every_point_is_the_composed_figure_of_all_rounds_before() -> None:
    found = outlook(Draft(**PLAIN, noise=3.0, evaluate_every=6, evaluation_noise=25.0))
    assert found.figure == epsilon(until(found, 20), 1e-5)
    for point in found.points:
        own = epsilon(until(found, point.number), 1e-5)
        assert own.low <= point.figure.epsilon <= own.epsilon * 1.003
        histograms = sum(1 for n in (6, 12, 18, 20) if n <= point.number)
        assert len(until(found, point.number)) == point.number + histograms
    rounds = found.rounds()
    assert [len(rounds[number - 1]) for number in (11, 12, 20)] == [1, 2, 2]


@given(st.integers(1, 10_000))
def test_few_rounds_are_listed_the_first_and_the_last_among_them(rounds: int) -> None:
    numbers = listed(rounds)
    assert (numbers[0], numbers[-1]) == (1, rounds)
    assert len(numbers) == min(rounds, LISTED)
    assert sorted(set(numbers)) == list(numbers)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 1.2))
def test_a_budget_holds_the_rounds_that_cost_no_more(limit: float) -> None:
    found = outlook(TARGET)
    held = rounds_held(found, limit)
    assert held == 0 or epsilon(until(found, held), 1e-5).epsilon <= limit * (1 + 1e-9)
    assert held == 20 or epsilon(until(found, held + 1), 1e-5).epsilon > limit


def test_a_budget_at_another_delta_is_judged_there() -> None:
    found = outlook(TARGET)
    assert rounds_held(found, 1.0, 1e-7) < rounds_held(found, 1.0) == 20


def test_the_naive_sum_is_above_what_is_true_and_grows_with_the_rounds() -> None:
    naive = outlook(TARGET).naive
    assert naive.epsilon > 2.5 * outlook(TARGET).figure.epsilon
    assert naive.delta == pytest.approx(1e-5)
    sums = [total for _, total in naive.points]
    assert sums == sorted(sums)
    alone = epsilon([sampled(outlook(TARGET).noise[0], 0.1, 4)], 1e-5 / 20).epsilon
    assert naive.epsilon == pytest.approx(20 * alone, rel=0.01)


def test_adding_up_one_release_is_no_mistake() -> None:
    found = outlook(Draft(rounds=1, steps=4, sample_rate=0.1, delta=1e-5, noise=2.0))
    assert found.naive.epsilon == pytest.approx(found.figure.epsilon, rel=0.01)


def test_shared_noise_has_three_lines() -> None:
    """ACCOUNTING section 6: each site adds σ/√(n−c−d); outsiders see n−d of them."""
    found = outlook(Draft(**PLAIN, target=1.0, sharing=Cohort(10, dropped=1, colluding=2)))
    assert found.noise == outlook(TARGET).noise
    assert found.at_site[0] == pytest.approx(found.noise[0] / 7**0.5)
    alone = [sampled(noise, 0.1, 4) for noise in found.at_site]
    outside = [sampled(noise * 3 / 7**0.5, 0.1, 4) for noise in found.noise]
    assert found.fallback is not None
    assert found.outsiders is not None
    assert found.fallback.epsilon == pytest.approx(epsilon(alone, 1e-5).epsilon)
    assert found.outsiders.epsilon == pytest.approx(epsilon(outside, 1e-5).epsilon)
    assert found.outsiders.epsilon < found.figure.epsilon < found.fallback.epsilon


def test_a_very_long_schedule_is_bounded_from_above() -> None:
    rounds = 2 * MOST_LEVELS
    found = outlook(
        Draft(rounds=rounds, steps=1, sample_rate=0.1, delta=1e-5, schedule="harmonic", target=1.0)
    )
    assert found.grouped
    assert not outlook(TARGET).grouped
    own = [sampled(noise, 0.1, 1) for noise in found.noise]
    assert epsilon(own, 1e-5).epsilon < found.figure.epsilon <= 1.0
    assert found.figure.epsilon >= 0.95


def test_a_target_that_nothing_reaches_is_refused() -> None:
    with pytest.raises(CalibrationError):
        outlook(Draft(**(PLAIN | {"steps": 10**6}), target=1e-9))


def test_an_adaptive_study_starts_with_what_its_filter_holds() -> None:
    found = outlook(
        Draft(**PLAIN, schedule=ADAPTIVE, target=1.0, evaluate_every=20, evaluation_noise=30.0)
    )
    order = best_order(1.0, 1e-5)
    assert fits_adaptively(until(found, 20), 1.0 + 1e-9, 1e-5, order).fits
    assert found.noise[0] > outlook(TARGET).noise[0]
    more = outlook(Draft(**PLAIN, schedule=ADAPTIVE, target=1.0, budget=2.0))
    assert more.noise[0] < found.noise[0]


def test_neither_target_nor_noise_is_no_plan() -> None:
    with pytest.raises(ValueError, match="give a target"):
        outlook(Draft(**PLAIN))
