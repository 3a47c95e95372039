"""Shared noise is worth what the honest survivors added, and never more than is declared."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.shared_noise import LEAST_CELLS, Cohort, costs, on_grid, site_noise
from tests.dp.histories_drawn import sampled

ALONE = sampled(1.1, 0.01, 1000)
COHORTS = st.builds(Cohort, st.integers(21, 100), st.integers(0, 10), st.integers(0, 10))


def test_ten_sites_cost_a_fifth_of_one_alone() -> None:
    """ACCOUNTING section 6: ε 0.32 where each alone gives 1.52."""
    found = costs(ALONE, Cohort(sites=10))
    assert epsilon([found.outsiders], 1e-5).epsilon == pytest.approx(0.32, abs=5e-3)
    assert epsilon([found.alone], 1e-5).epsilon == pytest.approx(1.52, abs=5e-3)


@given(COHORTS)
def test_whoever_knows_more_gets_less_noise(cohort: Cohort) -> None:
    found = costs(ALONE, cohort)
    noises = [each.noise_multiplier for each in (found.alone, found.hub, found.outsiders)]
    assert noises == sorted(noises)


@given(COHORTS, st.floats(0.5, 20.0))
def test_the_sum_has_the_noise_that_was_asked_for(cohort: Cohort, noise: float) -> None:
    found = costs(sampled(site_noise(noise, cohort), 0.01, 1), cohort)
    assert found.hub.noise_multiplier == pytest.approx(noise, rel=1e-12)


def test_dropouts_and_colluding_sites_are_not_counted_twice() -> None:
    found = costs(sampled(1.0, 0.01, 1), Cohort(sites=12, dropped=3, colluding=5))
    assert found.outsiders.noise_multiplier == pytest.approx(3.0)
    assert found.hub.noise_multiplier == pytest.approx(2.0)


@pytest.mark.parametrize("counts", [(3, 2, 1), (1, 1, 0), (0, 0, 0), (5, -1, 0), (5, 0, -1)])
def test_a_cohort_without_honest_noise_is_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="nobody's noise is left"):
        Cohort(*counts)


def test_rounding_makes_the_noise_worth_less() -> None:
    rounded = on_grid(ALONE, cell=2.0**-16, dimensions=385)
    assert rounded.noise_multiplier == pytest.approx(1.1 / (1 + math.sqrt(385) / 2**16))
    assert epsilon([rounded], 1e-5).epsilon > epsilon([ALONE], 1e-5).epsilon


def test_noise_that_is_narrower_than_the_grid_is_refused() -> None:
    on_grid(ALONE, cell=1.1 / LEAST_CELLS, dimensions=1)
    with pytest.raises(ValueError, match=r"use a cell of at most 0\.275"):
        on_grid(ALONE, cell=0.3, dimensions=1)
    with pytest.raises(ValueError, match="positive"):
        on_grid(ALONE, cell=0.0, dimensions=1)


def test_the_sum_of_discrete_gaussians_is_one_from_there_on() -> None:
    """Theorem 11 of arXiv 2102.06387: 10·Σ exp(−2π²σ²k/(k+1)) for a hundred sites."""
    terms = (math.exp(-2 * math.pi**2 * LEAST_CELLS**2 * k / (k + 1)) for k in range(1, 100))
    assert 10 * sum(terms) < 1e-60
