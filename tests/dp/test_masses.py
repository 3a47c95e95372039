"""One step drawn on a lattice: above the truth, or below it, at every ε and however coarse."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accounting.dp.losses import Step, between, profile, reach
from accounting.dp.masses import LADDER, Mass, optimistic, origin, pessimistic
from accounting.dp.sampling import Floats

NOISES = st.floats(0.2, 20.0)
STEPS = st.builds(Step, NOISES, st.floats(1e-5, 0.95), st.sampled_from([1, 1, 2, 5])) | st.builds(
    Step, NOISES, st.just(1.0), st.just(1)
)
COARSENESS = st.floats(0.01, 20.0)  # of the interval, in deviations
ROUNDING = 1e-14
MANY = settings(max_examples=150, deadline=None)


def drawn_losses(mass: Mass, interval: float, shift: float = 0.0) -> Floats:
    return LADDER[mass.start :][: mass.masses.size] * interval + shift


def curve(losses: Floats, masses: Floats, epsilons: Floats) -> Floats:
    """The hockey-stick divergence of what was drawn."""
    exceeding = -np.expm1(np.minimum(epsilons[:, None] - losses, 0.0))
    return exceeding @ masses


def truth(step: Step, epsilons: Floats, *, adding: bool) -> Floats:
    mass, other = between(step, epsilons, adding=adding)
    above, others_above = (np.cumsum(each[::-1])[::-1][1:] for each in (mass, other))
    return above - np.exp(epsilons) * others_above


def grid(step: Step, interval: float, *, adding: bool) -> Floats:
    low, high = reach(step, adding=adding)
    near = np.linspace(max(low, -40 * interval), min(high, 40 * interval), 400)
    return np.sort(np.concatenate((near, np.linspace(low, min(high, 50.0), 100))))


@MANY
@given(STEPS, COARSENESS, st.booleans())
def test_the_pessimistic_mass_is_never_below(step: Step, coarse: float, adding: bool) -> None:
    interval = min(coarse * profile(step).variance ** 0.5, 0.5)
    mass = pessimistic(step, interval)[adding]
    epsilons = grid(step, interval, adding=adding)
    found = curve(drawn_losses(mass, interval), mass.masses, epsilons)
    exact = truth(step, epsilons, adding=adding)
    assert np.all(found >= exact - ROUNDING * np.maximum(1.0, np.exp(epsilons) * 1e-2))
    assert mass.masses.sum() == pytest.approx(1.0, abs=1e-12)


@MANY
@given(STEPS, COARSENESS)
@example(Step(2.0, 0.004, 1), 8.0)
@example(Step(0.1, 0.001, 1), 0.05)
def test_the_optimistic_mass_is_never_above(step: Step, coarse: float) -> None:
    interval = min(coarse * profile(step).variance ** 0.5, 0.5)
    mass = optimistic(step, interval)
    epsilons = grid(step, interval, adding=False)
    losses = drawn_losses(mass, interval, origin(step, interval)[1])
    found = curve(losses, mass.masses, epsilons)
    exact = truth(step, epsilons, adding=False)
    assert np.all(found <= exact + ROUNDING * np.maximum(1.0, np.exp(epsilons) * 1e-2))
    assert mass.masses.min() >= 0.0
    assert mass.masses.sum() <= 1.0 + 1e-12


@MANY
@given(STEPS)
def test_fine_masses_lose_nothing(step: Step) -> None:
    interval = min(profile(step).variance ** 0.5 / 16, 0.05)
    mass = pessimistic(step, interval)[0]
    alternative = mass.masses @ np.exp(-drawn_losses(mass, interval))
    assert alternative == pytest.approx(1.0, abs=1e-9)
    low = optimistic(step, interval)
    assert low.masses.sum() == pytest.approx(1.0, abs=1e-3)


def test_the_ladder_widens_with_the_loss() -> None:
    gaps = np.diff(LADDER[LADDER >= 0])
    assert set(gaps[:192]) == {1}
    assert np.all(gaps <= np.maximum(1, LADDER[LADDER >= 0][1:] / 96))
    assert np.array_equal(LADDER, -LADDER[::-1])
