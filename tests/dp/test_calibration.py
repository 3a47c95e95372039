"""Calibrated noise meets its target, is not wasteful, and says so where it cannot."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.calibration import TIGHT, CalibrationError, calibrate, estimated
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.schedules import shape
from tests.dp.histories_drawn import sampled

HISTOGRAMS = (PrivacyEvent(Mechanism.GAUSSIAN, 20.0, 1.0, 6),)


def cost(noise: tuple[float, ...], rate: float, steps: int, delta: float, *fixed: object) -> float:
    return epsilon([*fixed, *(sampled(each, rate, steps) for each in noise)], delta).epsilon


@settings(max_examples=12, deadline=None)
@given(
    target=st.floats(0.05, 8.0),
    delta=st.sampled_from([1e-3, 1e-5, 1e-7]),
    rounds=st.integers(1, 40),
    rate=st.sampled_from([0.01, 0.064, 0.5, 1.0]),
    steps=st.integers(1, 30),
)
def test_the_target_is_met_and_not_wasted(
    target: float, delta: float, rounds: int, rate: float, steps: int
) -> None:
    noise = calibrate(
        target_epsilon=target,
        delta=delta,
        shape=shape("uniform", rounds),
        sample_rate=rate,
        steps_per_round=steps,
    )
    assert len(noise) == rounds
    assert len(set(noise)) == 1
    assert 0.997 * target <= cost(noise, rate, steps, delta) <= target


@pytest.mark.parametrize("kind", ["harmonic", [4.0, 1.0, 2.0, 1.0, 1.0, 1.0]])
def test_a_schedule_keeps_its_shape(kind: str | list[float]) -> None:
    factors = shape(kind, 6)
    noise = calibrate(
        target_epsilon=1.5, delta=1e-5, shape=factors, sample_rate=0.1, steps_per_round=5
    )
    scale = noise[0]
    assert noise == pytest.approx([scale * factor for factor in factors], rel=1e-3)
    assert 0.997 * 1.5 <= cost(noise, 0.1, 5, 1e-5) <= 1.5


def test_what_is_fixed_counts_against_the_target() -> None:
    plan = {"target_epsilon": 2.0, "delta": 1e-5, "sample_rate": 0.1, "steps_per_round": 5}
    factors = shape("uniform", 6)
    alone = calibrate(**plan, shape=factors)
    beside = calibrate(**plan, shape=factors, fixed=HISTOGRAMS)
    assert beside[0] > alone[0]
    assert 0.997 * 2.0 <= cost(beside, 0.1, 5, 1e-5, *HISTOGRAMS) <= 2.0


def test_noise_is_rounded_up_to_four_decimals() -> None:
    noise = calibrate(
        target_epsilon=1.0, delta=1e-3, shape=(1.0,), sample_rate=0.064, steps_per_round=480
    )
    assert noise == (round(noise[0], 4),)
    assert cost((noise[0] * 0.99,), 0.064, 480, 1e-3) > 1.0


@pytest.mark.parametrize(
    ("kind", "rounds", "rate", "steps"),
    [("uniform", 30, 0.01, 1), ("harmonic", 12, 0.01, 1), ([1.0, 3.0, 0.2], 3, 0.3, 4)],
)
def test_little_noise_is_wasted_whatever_the_shape(
    kind: str | list[float], rounds: int, rate: float, steps: int
) -> None:
    plan = {"target_epsilon": 0.3, "delta": 1e-5, "sample_rate": rate, "steps_per_round": steps}
    noise = calibrate(**plan, shape=shape(kind, rounds))
    assert TIGHT * 0.3 <= cost(noise, rate, steps, 1e-5) <= 0.3


def test_the_estimate_is_what_calibration_returns() -> None:
    plan = {"target_epsilon": 1.0, "delta": 1e-5, "sample_rate": 0.1, "steps_per_round": 4}
    factors = shape("harmonic", 10)
    assert estimated(**plan, shape=factors) == calibrate(**plan, shape=factors)


def test_the_estimate_refuses_what_calibration_refuses() -> None:
    plan = {"delta": 1e-5, "shape": (1.0,), "sample_rate": 0.1, "steps_per_round": 1}
    with pytest.raises(CalibrationError, match="already cost"):
        estimated(**plan, target_epsilon=0.1, fixed=HISTOGRAMS)
    with pytest.raises(ValueError, match="sample_rate"):
        estimated(**(plan | {"sample_rate": 2.0}), target_epsilon=0.1)


def test_a_target_below_the_fixed_events_is_refused_with_their_cost() -> None:
    with pytest.raises(CalibrationError, match="already cost epsilon"):
        calibrate(
            target_epsilon=0.1,
            delta=1e-5,
            shape=(1.0,),
            sample_rate=0.1,
            steps_per_round=1,
            fixed=HISTOGRAMS,
        )


def test_a_target_between_pld_and_rdp_of_the_fixed_events_is_still_met() -> None:
    """RDP cannot bracket here: its bound on the fixed events alone is above the target."""
    tight, loose = (epsilon(HISTOGRAMS, 1e-5, name).epsilon for name in ("pld", "rdp"))
    target = (tight + loose) / 2
    noise = calibrate(
        target_epsilon=target,
        delta=1e-5,
        shape=(1.0, 1.0),
        sample_rate=0.1,
        steps_per_round=5,
        fixed=HISTOGRAMS,
    )
    assert cost(noise, 0.1, 5, 1e-5, *HISTOGRAMS) <= target


def test_a_target_that_no_noise_reaches_is_refused() -> None:
    with pytest.raises(CalibrationError, match="no noise multiplier up to"):
        calibrate(
            target_epsilon=1e-4,
            delta=1e-9,
            shape=(1.0,),
            sample_rate=1.0,
            steps_per_round=10**9,
        )


def test_a_target_that_protects_nobody_still_gets_some_noise() -> None:
    noise = calibrate(
        target_epsilon=1e6, delta=1e-5, shape=(1.0,), sample_rate=0.1, steps_per_round=1
    )
    assert noise == (0.1,)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"target_epsilon": 0.0}, "target_epsilon"),
        ({"target_epsilon": float("nan")}, "target_epsilon"),
        ({"delta": 0.0}, "delta"),
        ({"shape": ()}, "shape"),
        ({"shape": (1.0, 0.0)}, "shape"),
        ({"sample_rate": 1.5}, "sample_rate"),
        ({"steps_per_round": 0}, "steps"),
    ],
)
def test_senseless_plans_are_refused(change: dict[str, object], advice: str) -> None:
    plan = {
        "target_epsilon": 1.0,
        "delta": 1e-5,
        "shape": (1.0,),
        "sample_rate": 0.1,
        "steps_per_round": 1,
    }
    with pytest.raises(ValueError, match=advice):
        calibrate(**(plan | change))  # type: ignore[arg-type]
