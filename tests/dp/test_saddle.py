"""The integral finds the scale that the reference accountant confirms, whatever the shape."""

import pytest

from accounting.dp.accountants import epsilon
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.saddle import Rounds, find_scale
from accounting.dp.schedules import shape
from tests.dp.histories_drawn import sampled

LEAST, MOST = 0.1, 1e5
HISTOGRAMS = (PrivacyEvent(Mechanism.GAUSSIAN, 20.0, 1.0, 6),)
CASES = [  # shape, rate, steps, delta, epsilon
    ([1.0, 1.01, 1.02], 0.3, 1, 1e-3, 0.3),
    ([1.0, 1.5], 1.0, 1, 1e-5, 20.0),
    ("harmonic", 0.5, 30, 1e-3, 3.0),
    ("harmonic", 0.1, 4, 1e-5, 1.0),
    ("harmonic", 0.064, 4, 1e-7, 1.0),
    ([4.0, 1.0, 2.0, 0.5], 0.1, 10, 1e-5, 2.0),
]
NEARLY = [  # equal rounds, or hardly anybody is ever sampled: a start for an accountant
    ("uniform", 0.1, 4, 1e-5, 1.0),
    ("uniform", 0.01, 4, 1e-5, 1.0),
    ("harmonic", 0.01, 1, 1e-3, 3.0),
]


def cost(factors: tuple[float, ...], scale: float, rate: float, steps: int, delta: float) -> float:
    history = [*HISTOGRAMS, *(sampled(scale * factor, rate, steps) for factor in factors)]
    return epsilon(history, delta).epsilon


@pytest.mark.parametrize(("kind", "rate", "steps", "delta", "target"), CASES)
def test_the_reference_confirms_the_scale(
    kind: str | list[float], rate: float, steps: int, delta: float, target: float
) -> None:
    factors = shape(kind, 10 if isinstance(kind, str) else len(kind))
    scale = find_scale(Rounds(factors, rate, steps, HISTOGRAMS), target, delta, LEAST, MOST)
    assert cost(factors, scale, rate, steps, delta) == pytest.approx(target, rel=1e-3)


@pytest.mark.parametrize(("kind", "rate", "steps", "delta", "target"), NEARLY)
def test_elsewhere_it_is_near(
    kind: str, rate: float, steps: int, delta: float, target: float
) -> None:
    factors = shape(kind, 10)
    scale = find_scale(Rounds(factors, rate, steps, HISTOGRAMS), target, delta, LEAST, MOST)
    assert cost(factors, scale, rate, steps, delta) == pytest.approx(target, rel=0.5)


def test_a_small_target_at_a_small_delta_needs_a_tilt_of_thousands() -> None:
    scale = find_scale(Rounds((1.0, 1.1), 0.5, 20), 0.01, 1e-9, LEAST, MOST)
    history = [sampled(scale, 0.5, 20), sampled(1.1 * scale, 0.5, 20)]
    assert epsilon(history, 1e-9).epsilon == pytest.approx(0.01, rel=2e-2)


def test_a_target_that_is_met_anyway_needs_the_least() -> None:
    assert find_scale(Rounds((1.0,), 0.1, 1), 1e6, 1e-5, LEAST, MOST) == LEAST


def test_a_target_out_of_reach_gets_the_most() -> None:
    assert find_scale(Rounds((1.0,), 1.0, 10**9), 1e-4, 1e-9, LEAST, MOST) == MOST


@pytest.mark.parametrize("target", [0.5, 0.53, 0.56, 0.8, 1.7])
def test_rare_losses_whose_moments_contradict_each_other_end_the_search(target: float) -> None:
    """At 0.53 two windows sent each other back and forth for ever."""
    rounds = Rounds(shape("harmonic", 100), 1e-4, 100)
    assert 0.3 < find_scale(rounds, target, 1e-5, 0.1, 1e5) < 1.0
