"""Moments of a step's loss: the Rényi accountant's at real points, continuous along a line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import rdp
from accounting.dp.moments import Line, along, at_tilts, variance

NOISE, RATE = st.floats(0.3, 50.0), st.sampled_from([0.001, 0.01, 0.1, 0.5, 1.0])


@settings(max_examples=25, deadline=None)
@given(NOISE, RATE)
def test_at_real_points_they_are_renyi_divergences(noise: float, rate: float) -> None:
    tilts = rdp.ORDERS[:100] - 1.0
    curve = at_tilts(noise, rate, np.sort(tilts)) / np.sort(tilts)
    assert curve == pytest.approx(np.sort(rdp.curve(noise, rate)[:100]), rel=1e-6, abs=1e-11)


def test_far_orders_are_bounded_from_above() -> None:
    tilts = np.array([1.0, 2000.0])
    bound = at_tilts(0.2, 0.1, tilts)[1]
    unsampled = 2000.0 * 2001.0 / (2 * 0.2**2)
    assert unsampled + 2001.0 * np.log(0.1) < bound <= unsampled


def test_hardly_any_noise_is_bounded_and_takes_no_memory() -> None:
    tilts = np.array([0.5, 15.0])
    bound = at_tilts(2e-6, 0.1, tilts)
    assert bound == pytest.approx(tilts * (tilts + 1) / (2 * 2e-6**2) + np.log(0.1), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.floats(1.0, 50.0), st.sampled_from([0.1, 0.5, 1.0]), st.floats(0.5, 10.0))
def test_a_line_starts_at_the_real_point_and_turns_by_the_mean(
    noise: float, rate: float, tilt: float
) -> None:
    """K(θ + iu) ≈ K(θ) + iuK′(θ) − u²K″(θ)/2."""
    spread = variance(noise, rate, tilt) ** 0.5
    values = along(noise, rate, Line(tilt, 1e-2 / spread, 5))
    around = at_tilts(noise, rate, tilt * np.array([0.999, 1.0, 1.001]))
    slope = (around[2] - around[0]) / (0.002 * tilt)
    assert values[0].imag == 0.0
    assert values[0].real == pytest.approx(around[1], rel=1e-8, abs=1e-13)
    assert values[1].imag == pytest.approx(1e-2 / spread * slope, rel=2e-2, abs=1e-9)
    assert values[1].real - values[0].real == pytest.approx(-0.5e-4, rel=2e-2)


def test_the_gaussian_without_sampling_is_in_closed_form() -> None:
    line = Line(3.0, 0.5, 40)
    expected = line.points * (line.points + 1) / (2 * 1.7**2)
    assert np.allclose(along(1.7, 1.0, line), expected)
    nearly = along(1.7, 1.0 - 1e-12, line)
    seen = expected.real > -15.0  # what is smaller is rounding
    assert np.allclose(nearly[seen], expected[seen], rtol=1e-6)
    assert variance(1.7, 1.0, 3.0) == pytest.approx(variance(1.7, 1.0 - 1e-12, 3.0))
