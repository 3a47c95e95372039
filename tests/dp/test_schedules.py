"""A shape says how the rounds' noise relates and leaves its amount to calibration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.dp.schedules import SHAPES, shape


@pytest.mark.parametrize("kind", SHAPES)
@given(rounds=st.integers(1, 300))
def test_the_first_round_has_factor_one_and_noise_never_falls(kind: str, rounds: int) -> None:
    factors = shape(kind, rounds)
    assert len(factors) == rounds
    assert factors[0] == 1.0
    assert sorted(factors) == list(factors)


def test_harmonic_rounds_cost_a_harmonic_series() -> None:
    """Cost under composition goes with 1/noise²: 1, 1/2, 1/3, 1/4."""
    assert [1 / factor**2 for factor in shape("harmonic", 4)] == pytest.approx(
        [1, 1 / 2, 1 / 3, 1 / 4]
    )


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=20), st.floats(0.5, 4.0))
def test_only_the_relation_of_a_list_counts(factors: list[float], scale: float) -> None:
    scaled = [factor * scale for factor in factors]
    assert shape(scaled, len(factors)) == pytest.approx(shape(factors, len(factors)))
    assert shape(factors, len(factors))[0] == 1.0


@pytest.mark.parametrize(
    ("kind", "rounds", "advice"),
    [
        ("linear", 3, "uniform, harmonic"),
        ("uniform", 0, "at least 1"),
        ("uniform", True, "at least 1"),
        ([1.0, 2.0], 3, "2 entries for 3 rounds"),
        ([1.0, 0.0], 2, "not positive"),
        ([1.0, float("inf")], 2, "not positive"),
        ([1.0, "x"], 2, "decimal number"),
        ([1.0, None], 2, "give a number"),
    ],
)
def test_other_schedules_are_refused(kind: object, rounds: int, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        shape(kind, rounds)  # type: ignore[arg-type]
