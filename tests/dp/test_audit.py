"""The lower bound of an audit: known answers, validity, and that more evidence never shows less."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom, norm

from accounting.dp.audit import (
    LARGEST_DELTA,
    audit_delta,
    guess_counts,
    lower_bound,
    measure,
    p_value,
)

DELTA = 1e-5


def published(m: int, r: int, v: int, eps: float, delta: float) -> float:
    """The p-value as appendix D of arXiv 2305.08846 writes it down, loop for loop."""
    accuracy = 1 / (1 + math.exp(-eps))
    beta = binom.sf(v - 1, r, accuracy)
    alpha = total = 0.0
    for i in range(1, v + 1):
        total += binom.pmf(v - i, r, accuracy)
        alpha = max(alpha, total / i)
    return min(1.0, beta + alpha * delta * 2 * m)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300).flatmap(
        lambda m: st.integers(1, m).flatmap(
            lambda r: st.tuples(st.just(m), st.just(r), st.integers(0, r))
        )
    ),
    st.floats(0, 12),
    st.sampled_from([0.0, 1e-10, 1e-5, 1e-3, 1.0]),
)
def test_the_p_value_is_the_published_one(counts, epsilon, delta):
    assert p_value(*counts, epsilon, delta) == pytest.approx(
        published(*counts, epsilon, delta), rel=1e-7, abs=1e-12
    )


@pytest.mark.parametrize("guesses", [6, 10, 100, 1000])
def test_right_guesses_alone_show_what_pure_privacy_must_allow(guesses):
    """δ = 0: all r right has chance (e^ε / (1 + e^ε))^r, so ε = logit(0.05^(1/r)) is rejected."""
    accuracy = 0.05 ** (1 / guesses)
    known = max(0.0, math.log(accuracy / (1 - accuracy)))
    assert lower_bound(guesses, guesses, guesses, 0.0) == pytest.approx(known, abs=1e-6)


def gaussian_noise(epsilon: float, delta: float) -> float:
    """The noise of a Gaussian mechanism of sensitivity 1 (Balle and Wang 2018, theorem 8)."""

    def excess(noise: float) -> float:
        a, b = 1 / (2 * noise), epsilon * noise
        return norm.cdf(a - b) - math.exp(epsilon) * norm.cdf(-a - b) - delta

    return brentq(excess, 0.05, 100)


@pytest.mark.parametrize(
    ("epsilon", "least", "most"),
    [(1, 0.03, 0.3), (2, 0.25, 0.6), (4, 0.8, 1.4), (8, 2.0, 2.7), (10, 2.5, 3.2)],
)
def test_500_canaries_show_part_of_the_true_epsilon(epsilon, least, most):
    """ACCOUNTING 9: m = 500 proves ε >= 0.2-2.8 for true ε 1-10, each canary seen by itself."""
    random = np.random.default_rng(epsilon)
    noise = gaussian_noise(epsilon, DELTA)
    found = []
    for _ in range(40):
        coins = random.integers(0, 2, 500)
        found.append(measure(coins + noise * random.normal(size=500), coins, DELTA).lower)
    assert least <= float(np.mean(found)) <= most
    assert max(found) < epsilon


def test_scores_that_know_nothing_show_nothing():
    random = np.random.default_rng(1)
    runs = [
        measure(random.normal(size=100), random.integers(0, 2, 100), DELTA).lower > 0
        for _ in range(2000)
    ]
    assert np.mean(runs) <= 0.05


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
def test_the_bound_seldom_exceeds_the_truth(epsilon):
    """Randomised response is the mechanism for which the theorem is tight."""
    random = np.random.default_rng(2)
    honest = 1 / (1 + math.exp(-epsilon))
    above = 0
    for _ in range(600):
        coins = random.integers(0, 2, 200)
        told = np.where(random.random(200) < honest, coins, 1 - coins)
        above += measure(told + 1e-6 * random.random(200), coins, 0.0).lower > epsilon
    assert above / 600 <= 0.05


@settings(max_examples=40, deadline=None)
@given(st.integers(6, 200), st.data())
def test_more_evidence_never_shows_less(guesses, data):
    correct = data.draw(st.integers(1, guesses))
    bound = lower_bound(guesses, guesses, correct, DELTA)
    assert lower_bound(guesses, guesses, correct - 1, DELTA) <= bound + 1e-6
    assert lower_bound(2 * guesses, guesses, correct, DELTA) <= bound + 1e-6
    assert lower_bound(guesses, guesses, correct, 10 * DELTA) <= bound + 1e-6
    assert lower_bound(guesses, guesses, correct, DELTA, 0.99) <= bound + 1e-6


@given(st.integers(0, 5000))
def test_the_numbers_of_guesses_come_from_the_number_of_canaries_alone(canaries):
    counts = guess_counts(canaries)
    assert all(count % 2 == 0 and 6 <= count <= canaries for count in counts)
    assert len(set(counts)) == len(counts) <= 3
    assert bool(counts) == (canaries >= 6)


def test_the_choice_among_numbers_of_guesses_is_paid_for():
    coins = np.arange(40) >= 20
    found = measure(np.arange(40.0), coins, 0.0)
    assert (found.guesses, found.correct, found.tried) == (40, 40, 3)
    assert found.lower < lower_bound(40, 40, 40, 0.0)
    assert found.lower == lower_bound(40, 40, 40, 0.0, 1 - 0.05 / 3)


def test_where_only_the_ends_are_sure_fewer_guesses_show_more():
    coins = np.array([0] * 10 + [0, 1] * 10 + [1] * 10)
    found = measure(np.arange(40.0), coins, 0.0)
    assert (found.guesses, found.correct) == (20, 20)


def test_the_delta_of_an_audit_is_small_enough_for_its_canaries():
    assert audit_delta(1e-3) == LARGEST_DELTA == 1e-5
    assert audit_delta(1e-7) == 1e-7


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: p_value(10, 11, 5, 1.0, 0.0),
        lambda: p_value(10, 5, 6, 1.0, 0.0),
        lambda: p_value(10, 5, 5, -1.0, 0.0),
        lambda: p_value(10, 5, 5, math.nan, 0.0),
        lambda: p_value(10, 5, 5, 1.0, 1.5),
        lambda: lower_bound(10, 10, 10, 0.0, 1.0),
        lambda: measure([1.0] * 5, [1] * 5, 0.0),
        lambda: measure([1.0] * 8, [1] * 7, 0.0),
        lambda: measure([math.nan] * 8, [1] * 8, 0.0),
        lambda: measure([1.0] * 8, [2] * 8, 0.0),
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r".{10}"):
        wrong()
