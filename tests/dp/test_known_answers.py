"""Figures that others derived: closed forms, dp_accounting and Opacus left to themselves."""

import math

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from accounting.dp.accountants import epsilon, rdp
from accounting.dp.events import PrivacyEvent
from tests.dp.histories_drawn import sampled

CASES = [
    [sampled(1.1, 0.01, 1000)],
    [sampled(0.7, 0.05, 40)],
    [sampled(5.0, 0.5, 30), sampled(30.0, 1.0, 4)],
    [sampled(2.0, 0.064, 16), sampled(1.4, 0.064, 16), sampled(1.0, 0.064, 16)],
    [sampled(40.0, 1.0, 10), sampled(25.0, 1.0, 3)],
    [sampled(1.0, 1e-4, 100)],
]


def reference(history: list[PrivacyEvent], delta: float) -> float:
    """dp_accounting's own PLD accountant, at its own defaults."""
    accountant = PLDAccountant()
    for event in history:
        gaussian = dp_event.GaussianDpEvent(event.noise_multiplier)
        one = dp_event.PoissonSampledDpEvent(event.sample_rate, gaussian)
        accountant.compose(one, event.steps)
    return float(accountant.get_epsilon(delta))


@pytest.mark.parametrize(
    ("noise", "steps", "expected"), [(1.0, 1000, 1.83), (1.0, 10, 0.38), (1.1, 1000, 1.52)]
)
def test_the_figures_of_the_specification(noise: float, steps: int, expected: float) -> None:
    """ACCOUNTING sections 1 and 5: 100 rounds of 10 steps, one round alone, and k = 1."""
    assert epsilon([sampled(noise, 0.01, steps)], 1e-5).epsilon == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize("history", CASES)
@pytest.mark.parametrize("delta", [1e-3, 1e-6])
def test_pld_is_as_tight_as_dp_accounting(history: list[PrivacyEvent], delta: float) -> None:
    """Within 1e-3; lower only where dp_accounting's fixed grid is too coarse for the rate."""
    found, theirs = epsilon(history, delta), reference(history, delta)
    assert found.low is not None
    assert found.low <= theirs
    assert found.epsilon <= theirs * (1 + 1e-3) + 1e-9
    if all(event.sample_rate > 1e-3 for event in history):
        assert found.epsilon == pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize(("noise", "delta"), [(0.5, 1e-5), (1.0, 1e-3), (4.0, 1e-6)])
def test_pld_meets_the_closed_form_of_the_gaussian_mechanism(noise: float, delta: float) -> None:
    """Balle and Wang 2018 (arXiv 1805.06530), theorem 8."""

    def divergence(loss: float) -> float:
        at = -loss * noise
        return float(
            norm.cdf(at + 0.5 / noise) - math.exp(loss) * norm.cdf(at - 0.5 / noise) - delta
        )

    exact = brentq(divergence, 0, 100, xtol=1e-10)
    found = epsilon([sampled(noise, 1.0, 1)], delta)
    assert found.low is not None
    assert found.low <= exact <= found.epsilon <= exact + 1e-8


@pytest.mark.parametrize("history", CASES)
def test_rdp_is_an_upper_bound_on_pld(history: list[PrivacyEvent]) -> None:
    quick, tight = epsilon(history, 1e-5, "rdp").epsilon, epsilon(history, 1e-5).epsilon
    assert tight <= quick + 1e-9


@pytest.mark.parametrize("history", CASES[:4])
def test_opacus_prv_encloses_pld(history: list[PrivacyEvent]) -> None:
    second = epsilon(history, 1e-5, "prv")
    assert second.low is not None
    assert second.low <= epsilon(history, 1e-5).epsilon <= second.epsilon
    assert second.epsilon - second.low < 0.021


@pytest.mark.parametrize(("noise", "rate"), [(1.0, 0.01), (0.3, 0.1), (3.0, 0.5), (0.3, 0.9)])
@pytest.mark.parametrize("order", [1.05, 1.5, 3.7, 10.3])
def test_the_moments_are_exact_at_fractional_orders(
    noise: float, rate: float, order: float
) -> None:
    """Against adaptive quadrature of the same expectation, and below dp_accounting's series."""

    def integrand(z: float) -> float:
        log_f = np.logaddexp(math.log1p(-rate), math.log(rate) + (2 * z - 1) / (2 * noise**2))
        return float(np.exp(order * log_f + norm.logpdf(z, scale=noise)))

    ends, bends = (-12 * noise, order + 12 * noise), [0.0, 0.5, 1.0, order]
    moment, _ = quad(integrand, *ends, points=bends, limit=500, epsabs=0, epsrel=1e-11)
    found = float(rdp.curve(noise, rate)[list(rdp.ORDERS).index(order)])
    assert found == pytest.approx(math.log(moment) / (order - 1), rel=1e-6)
    series = RdpAccountant(orders=[order])
    series.compose(dp_event.PoissonSampledDpEvent(rate, dp_event.GaussianDpEvent(noise)))
    assert found <= series._rdp[0] * (1 + 1e-6)


@pytest.mark.parametrize(("noise", "rate"), [(1.0, 0.01), (0.5, 0.3), (8.0, 0.9)])
def test_whole_orders_agree_with_dp_accounting(noise: float, rate: float) -> None:
    whole = [float(order) for order in rdp.ORDERS if float(order).is_integer()]
    series = RdpAccountant(orders=whole)
    series.compose(dp_event.PoissonSampledDpEvent(rate, dp_event.GaussianDpEvent(noise)))
    ours = [rdp.curve(noise, rate)[list(rdp.ORDERS).index(order)] for order in whole]
    assert ours == pytest.approx(list(series._rdp), rel=1e-7)


@pytest.mark.parametrize(
    ("order", "expected"), [(1.02, 7.5477172019868215), (1.1, 30.119568624806526)]
)
def test_little_noise_and_low_orders_keep_their_digits(order: float, expected: float) -> None:
    """noise 0.1, rate 0.1; from 30-digit quadrature (mpmath), where a naive series loses all."""
    found = rdp.curve(0.1, 0.1)[list(rdp.ORDERS).index(order)]
    assert found == pytest.approx(expected, rel=1e-12)
