"""Where the reference accountant takes seconds, a coarser lattice answers: above it, and close."""

import pytest

from accounting.dp import lattices, quick
from accounting.dp.accountants import epsilon
from accounting.dp.accountants.pld import counted
from accounting.dp.calibration import calibrate, quickly
from accounting.dp.curves import composed_after
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.figures import Unbounded
from accounting.dp.schedules import shape

DELTA = 1e-5
PLAN = {"delta": DELTA, "sample_rate": 1e-4, "steps_per_round": 100}


def rounds(noises: tuple[float, ...], rate: float, steps: int = 100) -> tuple[PrivacyEvent, ...]:
    return tuple(PrivacyEvent(Mechanism.POISSON_GAUSSIAN, n, rate, steps) for n in noises)


RARE = rounds((0.41, 0.58, 0.71, 0.82), 1e-4)
USUAL = rounds((1.1, 1.5, 2.0), 0.01)


def test_rare_large_losses_of_several_kinds_are_slow_and_usual_ones_are_not() -> None:
    assert quick.is_slow(counted(RARE))
    assert not quick.is_slow(counted(USUAL))
    assert not quick.is_slow(counted(rounds((1.0, 2.0), 1.0)))


def test_the_quick_figure_is_above_the_certified_low_and_close() -> None:
    reference, found = epsilon(RARE, DELTA), quick.epsilon(RARE, DELTA)
    assert reference.low is not None
    assert reference.low <= found.epsilon
    assert found.epsilon == pytest.approx(reference.epsilon, rel=0.02)


def test_what_is_not_slow_is_the_reference_accountants_own() -> None:
    assert quick.epsilon(USUAL, DELTA) == epsilon(USUAL, DELTA)
    assert quick.window(counted(USUAL)) == lattices.window(counted(USUAL))


def test_a_curve_of_slow_rounds_bounds_their_reference_figure() -> None:
    *_, last = composed_after([(event,) for event in RARE], DELTA, (2, 4))
    reference = epsilon(RARE, DELTA)
    assert reference.low is not None
    assert reference.low <= last.epsilon <= 1.02 * reference.epsilon


def test_noise_found_quickly_is_enough_and_hardly_more_than_calibrated() -> None:
    factors = shape("harmonic", 4)
    found = quickly(target_epsilon=1.0, shape=factors, **PLAN)
    assert quick.is_slow(counted(rounds(found, 1e-4)))
    assert epsilon(rounds(found, 1e-4), DELTA).epsilon <= 1.0
    sealed = calibrate(target_epsilon=1.0, shape=factors, **PLAN)
    assert found == pytest.approx(sealed, rel=0.02)


def test_what_has_no_bound_is_refused_here_as_there() -> None:
    hopeless = rounds((0.1,), 0.9, 10**9)
    with pytest.raises(Unbounded):
        epsilon(hopeless, DELTA)
    with pytest.raises(Unbounded):
        quick.epsilon(hopeless, DELTA)
