"""The verifier's own accountant: certified, tight, and in agreement with every other one."""

import math

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon, rdp
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.filters import best_order as hubs_best_order
from accounting.verifier.parts.figures import TOLERANCES
from accounting.verifier.parts.histories import Composer
from accounting.verifier.parts.losses import TooLarge, masses_of, one_step, spectra, transform
from accounting.verifier.parts.renyi import ORDERS, Renyi, best_order, divergence

# Shrinking would compose for minutes; the first counterexample says enough.
QUICK = settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.filter_too_much],  # dear histories are passed over
)
MOST_SPENT = 50.0  # no hub would spend more, and far beyond it the verifier refuses to judge
History = dict[tuple[float, float, int], int]


def events(history: History) -> list[PrivacyEvent]:
    return [
        PrivacyEvent(
            Mechanism.GAUSSIAN if rate == 1.0 else Mechanism.POISSON_GAUSSIAN,
            noise,
            rate,
            steps,
            rows_per_unit=rows,
        )
        for (noise, rate, rows), steps in history.items()
    ]


def gaussian_delta(mu: float, level: float) -> float:
    """δ(ε) of one Gaussian mechanism; Balle and Wang 2018 (arXiv 1805.06530), theorem 8."""

    def cdf(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2.0))

    return cdf(mu / 2 - level / mu) - math.exp(level) * cdf(-mu / 2 - level / mu)


price = st.tuples(
    st.floats(0.7, 8.0).map(lambda x: round(x, 3)),
    st.sampled_from([0.01, 0.05, 0.1, 0.3, 0.7, 1.0]),
    st.just(1),
)
histories = st.dictionaries(price, st.integers(1, 120), min_size=1, max_size=3)


# A step whose losses all lie within one cell of a grid made for another mechanism.
@example({(1.0, 0.01, 1): 104, (1.0, 1.0, 1): 16}, 1e-3)
@QUICK
@given(histories, st.sampled_from([1e-3, 1e-5, 1e-7]))
def test_it_encloses_the_hubs_own_pld(history, delta):
    theirs = epsilon(events(history), delta).epsilon
    assume(theirs < MOST_SPENT)
    found = Composer().epsilon(history, delta)
    relative, absolute = TOLERANCES["pld"]
    assert found.low - 1e-9 <= theirs <= found.high * (1.0 + relative) + absolute


@example({(1.0, 0.01, 1): 104, (1.0, 1.0, 1): 16}, 1e-3)
@QUICK
@given(histories, st.sampled_from([1e-3, 1e-5, 1e-7]))
def test_it_is_tight_enough_to_see_one_percent(history, delta):
    assume(epsilon(events(history), delta).epsilon < MOST_SPENT)
    found = Composer().epsilon(history, delta)
    assert 0.0 <= found.low <= found.high
    assert found.high - found.low <= 0.005 * found.high + 1e-6


@pytest.mark.parametrize(("mu", "delta"), [(0.125, 1e-3), (1.0, 1e-5), (3.0, 1e-9)])
def test_a_full_batch_has_a_closed_form(mu, delta):
    found = Composer().epsilon({(2.0 / mu, 1.0, 1): 4}, delta)
    assert gaussian_delta(mu, found.low) >= delta * (1.0 - 1e-9)
    assert gaussian_delta(mu, found.high) <= delta * (1.0 + 1e-9)


@pytest.mark.parametrize(("rows", "shown"), [(1, 1.52), (2, 3.29), (5, 9.60), (10, 22.9)])
def test_several_rows_of_one_patient(rows, shown):
    """ACCOUNTING section 5: σ = 1.1, q = 0.01, 1000 steps, δ = 1e-5."""
    found = Composer().epsilon({(1.1, 0.01, rows): 1000}, 1e-5)
    assert found.low - 0.005 * shown <= shown <= found.high + 0.005 * shown
    assert found.high - found.low < 0.003 * found.high


def test_the_reference_points_of_the_accounting():
    """ACCOUNTING section 1: 100 rounds of 10 steps, σ = 1, q = 0.01, δ = 1e-5."""
    composer = Composer()
    whole = composer.epsilon({(1.0, 0.01, 1): 1000}, 1e-5)
    assert whole.low < 1.83 < whole.high + 0.01
    one_round = composer.epsilon({(1.0, 0.01, 1): 10}, 1e-5)
    assert one_round.low < 0.38 < one_round.high + 0.01


def test_growing_row_by_row_gives_what_all_at_once_gives():
    growing, history = Composer(), {}
    for step in range(1, 13):
        history = history | {(2.0 + 0.1 * step, 0.1, 1): 8}
        if step % 4 == 0:
            history = history | {(8.0, 1.0, 1): step}
        grown = growing.epsilon(history, 1e-4)
        fresh = Composer().epsilon(history, 1e-4)
        assert grown == pytest.approx(fresh, rel=1e-9)


@QUICK
@given(histories, st.sampled_from([1e-3, 1e-6]))
def test_more_steps_and_less_delta_cost_more(history, delta):
    assume(epsilon(events(history), delta).epsilon < MOST_SPENT / 4)
    composer = Composer()
    found = composer.epsilon(history, delta)
    longer = {each: 2 * steps for each, steps in history.items()}
    assert composer.epsilon(longer, delta).high >= found.low
    assert composer.epsilon(history, delta / 10.0).high >= found.low


@pytest.mark.parametrize("remove", [True, False])
@pytest.mark.parametrize("price", [(2.0, 0.1, 1), (0.8, 0.02, 3), (4.0, 1.0, 1)])
def test_both_curves_are_distributions_in_order(price, remove):
    step = one_step(price, 2.0**-8, remove)
    assert math.fsum(step.above) + step.infinite == pytest.approx(1.0, abs=1e-12)
    assert math.fsum(step.below) == pytest.approx(1.0, abs=1e-12)
    losses = [(step.first + k) / 256 for k in range(len(step.above))]

    def divergence_of(masses: list[float], level: float) -> float:
        return math.fsum(
            mass * -math.expm1(level - loss)
            for mass, loss in zip(masses, losses, strict=True)
            if loss > level
        )

    for level in (0.0, 0.05, 0.3, 1.0):
        above = divergence_of(step.above, level) + step.infinite
        assert divergence_of(step.below, level) <= above + 1e-15


def test_the_transform_is_undone_by_its_inverse():
    step = one_step((2.0, 0.1, 1), 2.0**-5, True)
    above, below = masses_of(spectra(step, 256))
    count = len(step.above)
    assert above[:count] == pytest.approx(step.above, abs=1e-15)
    assert below[:count] == pytest.approx(step.below, abs=1e-15)
    assert transform([1.0, 2.0, 3.0, 4.0]) == pytest.approx([10, -2 + 2j, -2, -2 - 2j])


@pytest.mark.parametrize("history", [{(1e-6, 0.5, 1): 1}, {(0.01, 1.0, 1): 100}])
def test_what_cannot_be_bounded_is_said(history):
    with pytest.raises(TooLarge):
        Composer().epsilon(history, 1e-5)


def test_no_history_costs_nothing():
    assert Composer().epsilon({}, 1e-5) == (0.0, 0.0)
    assert Renyi().epsilon({}, 1e-5) == 0.0


@QUICK
@given(histories, st.sampled_from([1e-3, 1e-6]), st.sampled_from([1.5, 3.7, 8.0, 64.0]))
def test_its_renyi_accountant_is_exact(history, delta, order):
    mine = Renyi()
    theirs = epsilon(events(history), delta, "rdp").epsilon
    assert mine.epsilon(history, delta) == pytest.approx(theirs, rel=1e-9)
    at = ORDERS.index(order)
    assert mine.at(history, order) == pytest.approx(rdp.composed(events(history))[at], rel=1e-9)


@pytest.mark.parametrize("rows", [2, 5, 40])
def test_so_it_is_for_several_rows(rows):
    history = {(2.0, 0.1, rows): 10, (1.5, 0.05, 1): 10}
    theirs = epsilon(events(history), 1e-5, "rdp").epsilon
    assert Renyi().epsilon(history, 1e-5) == pytest.approx(theirs, rel=1e-9)
    for order in (1.1, 4.0, 9.9):
        one = rdp.curve(2.0, 0.1, rows)[ORDERS.index(order)]
        assert divergence((2.0, 0.1, rows), order) == pytest.approx(one, rel=1e-9)


def test_orders_and_the_choice_among_them_are_as_specified():
    assert list(rdp.ORDERS) == ORDERS
    for limit in (0.1, 1.0, 3.0, 10.0):
        for delta in (1e-3, 1e-6):
            assert best_order(limit, delta) == hubs_best_order(limit, delta)
