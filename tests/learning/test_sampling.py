"""Poisson sampling: each unit is in or out by its own coin, at the declared rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from federation.learning.noise import Keystream
from federation.learning.sampler import binomial, poisson
from tests.learning.builders import protocol, rows
from tests.learning.stepping import quiet_update


@given(st.integers(0, 300), st.floats(1e-6, 1))
def test_a_sample_holds_different_known_units(n_units, rate):
    sample = poisson(Keystream(), n_units, rate)
    assert len(np.unique(sample)) == len(sample)
    assert ((sample >= 0) & (sample < n_units)).all()
    assert (np.diff(sample) > 0).all()


@pytest.mark.parametrize(
    ("n_units", "rate"), [(40, 0.06), (3, 0.09), (40, 0.1), (40, 0.8), (7, 0.5)]
)
def test_sizes_are_binomial(n_units, rate):
    stream = Keystream()
    sizes = [len(poisson(stream, n_units, rate)) for _ in range(4000)]
    expected = stats.binom.pmf(np.arange(n_units + 1), n_units, rate) * len(sizes)
    likely = expected >= 5
    observed = np.bincount(sizes, minlength=n_units + 1)[likely]
    rest = len(sizes) - expected[likely].sum()
    counts = np.append(observed, len(sizes) - observed.sum())
    assert stats.chisquare(counts, np.append(expected[likely], rest)).pvalue > 1e-6


@pytest.mark.parametrize("rate", [0.064, 0.5, 0.9])
def test_every_unit_is_included_at_the_rate(rate):
    stream, draws, n_units = Keystream(), 3000, 50
    taken = np.zeros(n_units)
    for _ in range(draws):
        taken[poisson(stream, n_units, rate)] += 1
    deviation = np.sqrt(draws * rate * (1 - rate))
    # 50 z-scores; six deviations is refused less than once in ten million tests.
    assert np.abs(taken - draws * rate).max() < 6 * deviation


def test_pairs_of_units_are_independent():
    stream, draws = Keystream(), 6000
    member = np.zeros((draws, 6))
    for draw in range(draws):
        member[draw, poisson(stream, 6, 0.4)] = 1
    together = np.corrcoef(member.T)[np.triu_indices(6, 1)]
    assert np.abs(together).max() < 6 / np.sqrt(draws)


def test_a_rate_of_one_takes_everybody():
    assert poisson(Keystream(), 9, 1.0).tolist() == list(range(9))


def test_nobody_to_sample():
    assert poisson(Keystream(), 0, 0.5).tolist() == []


@given(st.floats(1e-12, 1 - 1e-12), st.integers(1, 10_000), st.floats(1e-4, 0.999))
def test_the_inverse_is_scipys(uniform, trials, rate):
    ours = binomial(uniform, trials, rate)
    below = stats.binom.cdf(ours - 1, trials, rate)
    assert below <= uniform + 1e-10
    assert stats.binom.cdf(ours, trials, rate) >= uniform - 1e-10


def test_coins_run_over_many_blocks():
    sample = poisson(Keystream(), 200_000, 0.5)
    assert abs(len(sample) - 100_000) < 6 * np.sqrt(50_000)
    assert (np.diff(sample) > 0).all()
    halves = np.bincount(sample // 50_000, minlength=4)
    assert np.abs(halves - 25_000).max() < 6 * np.sqrt(12_500)


def test_millions_of_units_cost_the_batch_only():
    sample = poisson(Keystream(), 10_000_000, 1e-5)
    assert 20 < len(sample) < 250


def test_the_denominator_is_the_declared_one_not_the_batchs():
    study = protocol(sample_rate=1.0, learning_rate=1.0, max_grad_norm=100.0)
    data = rows(10)
    assert quiet_update(study, data, denominator=40.0) == pytest.approx(
        quiet_update(study, data, denominator=10.0) / 4, rel=1e-5
    )
