"""An event is refused unless it can be priced, and survives being written down."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.dp.events import Mechanism, PrivacyEvent, UnknownEvent, merged

BASE = {
    "mechanism": "poisson_sampled_gaussian",
    "noise_multiplier": "1.1",
    "sample_rate": "0.01",
    "steps": 10,
}


@given(
    noise=st.floats(1e-6, 1e12),
    rate=st.floats(1e-12, 1.0),
    steps=st.integers(1, 10**12),
    clip=st.none() | st.floats(1e-3, 1e3),
)
def test_json_round_trip_is_exact(
    noise: float, rate: float, steps: int, clip: float | None
) -> None:
    event = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, noise, rate, steps, max_grad_norm=clip)
    written = json.dumps(event.to_json())
    assert PrivacyEvent.from_json(json.loads(written)) == event


def test_numbers_that_matter_are_decimal_strings() -> None:
    event = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 1, 0.1, 3, 0.5, 12.8, unit="patient")
    assert event.to_json() == {
        "mechanism": "poisson_sampled_gaussian",
        "noise_multiplier": "1.0",
        "sample_rate": "0.1",
        "steps": 3,
        "max_grad_norm": "0.5",
        "batch_denominator": "12.8",
        "sampler": "poisson",
        "noise_grade": "float noise, CSPRNG",
        "unit": "patient",
        "neighbouring": "add_remove",
    }


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"noise_multiplier": "0"}, "greater than 0"),
        ({"noise_multiplier": "-1"}, "greater than 0"),
        ({"noise_multiplier": "nan"}, "finite"),
        ({"noise_multiplier": "inf"}, "finite"),
        ({"noise_multiplier": "1e-7"}, "no accountant can compute"),
        ({"noise_multiplier": "much"}, "decimal number"),
        ({"noise_multiplier": None}, "positive number"),
        ({"noise_multiplier": True}, "decimal string"),
        ({"sample_rate": "0"}, "greater than 0"),
        ({"sample_rate": "1.01"}, "probability"),
        ({"steps": 0}, "at least 1"),
        ({"steps": 2.5}, "whole number"),
        ({"steps": True}, "whole number"),
        ({"steps": "10"}, "whole number"),
        ({"steps": 10**13}, "no run takes that many"),
        ({"max_grad_norm": "0"}, "greater than 0"),
        ({"batch_denominator": "-3"}, "greater than 0"),
        ({"unit": ""}, "privacy unit"),
    ],
)
def test_impossible_values_are_refused_with_advice(change: dict[str, object], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        PrivacyEvent.from_json(BASE | change)


@pytest.mark.parametrize(
    "change",
    [
        {"mechanism": "laplace"},
        {"sampler": "shuffle"},
        {"sampler": "full_batch"},
        {"neighbouring": "replace_one"},
        {"noise_grade": "numpy"},
        {"secret": "1"},
    ],
)
def test_an_event_that_no_accountant_knows_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UnknownEvent):
        PrivacyEvent.from_json(BASE | change)


@pytest.mark.parametrize("missing", ["mechanism", "noise_multiplier", "sample_rate", "steps"])
def test_a_missing_key_is_named(missing: str) -> None:
    with pytest.raises(ValueError, match=f"lacks: {missing}"):
        PrivacyEvent.from_json({key: value for key, value in BASE.items() if key != missing})


def test_a_full_batch_event_claims_no_amplification() -> None:
    with pytest.raises(ValueError, match="uses every row"):
        PrivacyEvent(Mechanism.GAUSSIAN, 1.0, 0.5, 1)


def test_only_an_object_is_an_event() -> None:
    with pytest.raises(ValueError, match="JSON object, not list"):
        PrivacyEvent.from_json([])  # type: ignore[arg-type]


def test_one_row_a_unit_is_written_as_it_always_was() -> None:
    event = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 1.1, 0.01, 16)
    assert "rows_per_unit" not in event.to_json()
    several = replace(event, rows_per_unit=3)
    assert several.to_json()["rows_per_unit"] == 3
    assert PrivacyEvent.from_json(several.to_json()) == several


def test_units_with_more_rows_are_not_merged_with_others() -> None:
    one = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 1.1, 0.01, 16)
    assert merged([one, replace(one, rows_per_unit=3), one]) == (
        replace(one, steps=32),
        replace(one, rows_per_unit=3),
    )


@pytest.mark.parametrize("rows", [0, -1, 1001, 2.0, True])
def test_rows_per_unit_is_a_sensible_count(rows: object) -> None:
    with pytest.raises(ValueError, match="rows_per_unit is"):
        PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 1.1, 0.01, 16, rows_per_unit=rows)  # type: ignore[arg-type]
