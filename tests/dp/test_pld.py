"""Our PLD encloses the truth, tightly at every sample rate, and agrees with others' code."""

import math

import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import Unbounded, epsilon
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.figures import Figure
from tests.dp.histories_drawn import sampled

FEW = settings(max_examples=8, deadline=None)


def rows(noise: float, rate: float, steps: int, k: int) -> PrivacyEvent:
    return PrivacyEvent(Mechanism.POISSON_GAUSSIAN, noise, rate, steps, rows_per_unit=k)


def reference(history: list[PrivacyEvent], delta: float, interval: float) -> float:
    """dp_accounting on a grid of `interval`."""
    accountant = PLDAccountant(value_discretization_interval=interval)
    for event in history:
        gaussian = dp_event.GaussianDpEvent(event.noise_multiplier)
        one = dp_event.PoissonSampledDpEvent(event.sample_rate, gaussian)
        accountant.compose(one, event.steps)
    return float(accountant.get_epsilon(delta))


def gap(figure: Figure) -> float:
    assert figure.low is not None
    assert figure.low <= figure.epsilon
    return figure.epsilon - figure.low


@pytest.mark.parametrize(("k", "expected"), [(1, 1.52), (2, 3.29), (5, 9.60), (10, 22.9)])
def test_several_rows_of_a_patient(k: int, expected: float) -> None:
    """ACCOUNTING section 5, from dp_accounting's mixture of Gaussians (a minute for k = 10)."""
    figure = epsilon([rows(1.1, 0.01, 1000, k)], 1e-5)
    assert figure.epsilon == pytest.approx(expected, rel=3.5e-3)
    assert gap(figure) < 1e-3 * figure.epsilon
    assert epsilon([rows(1.1, 0.01, 1000, k)], 1e-5, "rdp").epsilon > figure.epsilon


def test_several_rows_agree_with_dp_accounting() -> None:
    event = rows(4.0, 0.05, 30, 2)
    theirs = epsilon([event], 1e-5, "dp_accounting_pld").epsilon
    found = epsilon([event], 1e-5)
    assert found.low is not None
    assert found.low <= theirs
    assert found.epsilon == pytest.approx(theirs, rel=1e-3)


def test_several_rows_of_everybody_are_one_large_row() -> None:
    for accountant in ("pld", "rdp", "prv", "dp_accounting_pld"):
        several = epsilon([rows(20.0, 1.0, 3, 4)], 1e-5, accountant).epsilon
        assert several == pytest.approx(epsilon([sampled(5.0, 1.0, 3)], 1e-5, accountant).epsilon)


def test_the_second_opinion_says_why_it_has_none() -> None:
    with pytest.raises(Unbounded, match="no unit with 3 rows"):
        epsilon([rows(1.1, 0.01, 10, 3)], 1e-5, "prv")


@FEW
@given(st.floats(0.8, 4.0), st.sampled_from([0.01, 0.3]), st.integers(1, 4))
def test_more_rows_cost_more(noise: float, rate: float, k: int) -> None:
    for accountant in ("pld", "rdp"):
        fewer = epsilon([rows(noise, rate, 20, k)], 1e-5, accountant).epsilon
        assert epsilon([rows(noise, rate, 20, k + 1)], 1e-5, accountant).epsilon >= fewer


@FEW
@given(
    st.lists(
        st.builds(
            sampled,
            st.floats(1.0, 8.0).map(lambda x: round(x, 3)),
            st.sampled_from([0.004, 0.02, 0.05]),
            st.integers(1, 300),
        ),
        min_size=1,
        max_size=2,
    ),
    st.sampled_from([1e-3, 1e-5, 1e-8]),
)
def test_mixtures_agree_with_dp_accounting(history: list[PrivacyEvent], delta: float) -> None:
    """On a grid of 1e-3 theirs is an upper bound: the truth, and ours, lie below or close by.

    Where one event's losses are far smaller than the grid that the others need, our lower end is
    a little less tight.
    """
    history.append(sampled(30.0, 1.0, 2))
    theirs, found = reference(history, delta, 1e-3), epsilon(history, delta)
    assert found.low is not None
    assert found.low <= theirs * (1 + 1e-9) + 1e-9
    assert found.epsilon <= theirs * (1 + 1e-3) + 1e-6
    assert gap(found) <= 5e-3 * found.epsilon + 1e-6


@pytest.mark.parametrize(
    ("event", "exact"),
    [
        (sampled(1.0, 1e-4, 100_000), 0.13187),
        (sampled(1.0, 1e-5, 1000), 0.0007018),
        (sampled(1.0, 1e-4, 100), 0.0034714),
        (sampled(0.1, 1e-3, 10), 96.08),
    ],
)
def test_very_low_sample_rates_are_as_tight(event: PrivacyEvent, exact: float) -> None:
    """Where a fixed grid of 1e-4 says 0.1389, 0.0017 and 0.0036; `exact` is from a finer one."""
    figure = epsilon([event], 1e-5)
    assert figure.epsilon == pytest.approx(exact, rel=1e-3)
    assert gap(figure) < 1e-3 * figure.epsilon


def test_opacus_prv_overlaps() -> None:
    history = [sampled(0.9, 0.02, 300), sampled(2.0, 0.1, 50), sampled(20.0, 1.0, 5)]
    ours, theirs = epsilon(history, 1e-5), epsilon(history, 1e-5, "prv")
    assert ours.low is not None
    assert theirs.low is not None
    assert theirs.low <= ours.epsilon
    assert ours.low <= theirs.epsilon


@pytest.mark.parametrize("steps", [1, 3])
def test_few_steps_are_as_tight(steps: int) -> None:
    """Nothing is smooth yet: the whole transform is inverted."""
    history = [sampled(2.0, 0.3, steps)]
    assert epsilon(history, 1e-5).epsilon == pytest.approx(reference(history, 1e-5, 1e-4), rel=1e-3)
    assert gap(epsilon(history, 1e-5)) < 1e-3


def test_a_million_steps_keep_their_digits() -> None:
    """At δ = 1e-10 the rounding of a million multiplications would show, were there any."""
    figure = epsilon([sampled(50.0, 0.05, 10**6)], 1e-10)
    assert gap(figure) < 0.05
    assert epsilon([sampled(50.0, 0.05, 10**6)], 1e-9).epsilon < figure.low  # type: ignore[operator]


@given(st.floats(0.3, 50.0), st.integers(1, 100), st.sampled_from([1e-3, 1e-6, 1e-10]))
def test_full_batches_are_exact(noise: float, steps: int, delta: float) -> None:
    figure = epsilon([sampled(noise, 1.0, steps)], delta)
    assert gap(figure) <= 3e-9 * (1 + math.sqrt(steps) / noise)
    together = epsilon([sampled(noise / math.sqrt(steps), 1.0, 1)], delta)
    assert figure.epsilon == pytest.approx(together.epsilon, abs=1e-6)


def test_a_full_batch_among_samples_is_close_to_exact() -> None:
    alone = epsilon([sampled(2.0, 1.0, 3)], 1e-5).epsilon
    beside = epsilon([sampled(2.0, 1.0, 3), sampled(100.0, 1e-4, 1)], 1e-5)
    assert alone - 1e-8 <= beside.epsilon <= alone * (1 + 1e-3)


def test_losses_beyond_all_use_are_refused() -> None:
    for event in (sampled(0.02, 0.5, 10), sampled(1e-5, 0.5, 1), sampled(0.03, 0.1, 10)):
        with pytest.raises(Unbounded):
            epsilon([event], 1e-5)
