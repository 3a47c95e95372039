"""A sketch is proven, keeps its target, and is never below what the reference accountant finds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.calibration import CalibrationError
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.levels import lowered
from accounting.dp.planning import Draft, is_long, outlook, rounds_held, sketch
from accounting.dp.sketches import LEVELS, ORDERS, after, alone
from tests.dp.histories_drawn import sampled

PLAIN = {"rounds": 20, "steps": 4, "sample_rate": 0.1, "delta": 1e-5}
RARE = Draft(rounds=100, steps=100, sample_rate=1e-4, delta=1e-5, schedule="harmonic", target=1.0)

GAUSSIAN, SAMPLED = Mechanism.GAUSSIAN, Mechanism.POISSON_GAUSSIAN

noises = st.floats(0.05, 1e4)


@given(st.lists(noises, min_size=1, max_size=80), st.integers(1, 30))
def test_noises_are_only_ever_lowered_into_few_groups(found: list[float], most: int) -> None:
    groups = lowered(found, most, most)
    assert set(groups) == set(found)
    assert all(low <= noise for noise, low in groups.items())
    assert set(groups.values()) <= set(found)
    assert len(set(groups.values())) <= most + 1
    if len(set(found)) <= most:
        assert all(low == noise for noise, low in groups.items())


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0.4, 30.0), min_size=1, max_size=30),
    st.sampled_from([1.0, 0.3, 0.05, 1e-3]),
    st.sampled_from([1e-3, 1e-5, 1e-9]),
)
def test_it_is_an_upper_bound_and_near_the_accountant_of_all_orders(
    levels: list[float], rate: float, delta: float
) -> None:
    rounds = [(sampled(noise, rate, 3),) for noise in levels]
    figure = after(rounds, delta, (len(rounds),))[0]
    events = [event for each in rounds for event in each]
    every = epsilon(events, delta, "rdp").epsilon
    assert every * (1 - 1e-9) <= figure.epsilon <= every * 1.25 + 5e-3
    assert epsilon(events, delta).low <= figure.epsilon
    assert (figure.accountant, figure.delta) == ("rdp", delta)
    assert f"{len(ORDERS)} orders" in figure.discretisation


def test_what_was_spent_before_and_histograms_count() -> None:
    before = (sampled(3.0, 0.2, 5), PrivacyEvent(GAUSSIAN, 20.0, 1.0, 2))
    rounds = [(sampled(2.0, 0.1, 4),), (sampled(2.0, 0.1, 4), PrivacyEvent(GAUSSIAN, 9.0, 1.0, 1))]
    figures = after(rounds, 1e-5, (1, 2), before)
    assert figures[0] == after([(*before, *rounds[0])], 1e-5, (1,))[0]
    assert figures[1].epsilon == pytest.approx(
        after([(*before, *rounds[0], *rounds[1])], 1e-5, (1,))[0].epsilon
    )
    assert alone(rounds[0][0], 1e-5).epsilon < figures[0].epsilon < figures[1].epsilon


def test_several_rows_of_a_unit_cost_more() -> None:
    one = PrivacyEvent(SAMPLED, 3.0, 0.01, 10)
    three = PrivacyEvent(SAMPLED, 3.0, 0.01, 10, rows_per_unit=3)
    assert alone(three, 1e-5).epsilon > alone(one, 1e-5).epsilon


@pytest.mark.parametrize(
    "draft",
    [
        Draft(**PLAIN, target=1.0),
        Draft(**PLAIN, target=8.0, schedule="harmonic", evaluate_every=5, evaluation_noise=30.0),
        Draft(**(PLAIN | {"rounds": 300}), target=0.5, schedule="harmonic"),
        RARE,
    ],
)
def test_a_sketch_keeps_the_target_with_more_noise_than_will_be_sealed(draft: Draft) -> None:
    found, sealed = sketch(draft), outlook(draft)
    assert found.rough
    assert not sealed.rough
    assert found.figure.epsilon <= draft.target
    assert all(more >= less for more, less in zip(found.noise, sealed.noise, strict=True))
    exact = epsilon([sampled(n, draft.sample_rate, draft.steps) for n in found.noise], draft.delta)
    assert exact.low <= found.figure.epsilon


def test_its_budgets_hold_no_more_rounds_than_the_outlooks() -> None:
    given = Draft(**PLAIN, noise=3.0)
    found, sealed = sketch(given), outlook(given)
    limit = sealed.figure.epsilon / 2
    assert 0 < rounds_held(found, limit) <= rounds_held(sealed, limit)


def test_a_target_that_nothing_reaches_is_refused() -> None:
    with pytest.raises(CalibrationError, match="no noise multiplier up to 100000"):
        sketch(Draft(**(PLAIN | {"steps": 10**6}), target=1e-9))


@pytest.mark.parametrize(
    ("draft", "long"),
    [
        (Draft(**PLAIN, target=1.0), False),
        (Draft(**PLAIN, noise=2.0, schedule="harmonic"), False),
        (Draft(**(PLAIN | {"sample_rate": 1.0}), target=1.0), False),
        (Draft(**PLAIN, target=1.0, schedule="adaptive"), False),
        (RARE, True),
        (Draft(**(PLAIN | {"rounds": 10_000}), target=1.0, schedule="harmonic"), True),
        (Draft(**PLAIN, noise=1e-6), False),  # refused at once
    ],
)
def test_what_takes_long_is_known_beforehand(draft: Draft, *, long: bool) -> None:
    assert is_long(draft) is long


def test_so_many_rounds_are_grouped_and_say_so() -> None:
    found = sketch(Draft(**(PLAIN | {"rounds": 10_000}), target=1.0, schedule="harmonic"))
    assert found.grouped
    assert len(set(found.rounds())) <= LEVELS + 1
    assert found.figure.epsilon <= 1.0


def test_very_many_steps_are_composed_on_a_lattice_that_holds_them() -> None:
    """100 million steps: a coarser lattice would hold none of it, whatever the noise."""
    found = outlook(
        Draft(rounds=100, steps=10**6, sample_rate=0.5, delta=1e-5, schedule="harmonic", target=1.0)
    )
    assert 0.98 <= found.figure.epsilon <= 1.0
