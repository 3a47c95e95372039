"""A written history is read exactly, and a mistake in it is named with its place."""

import json

import pytest

from accounting.dp.accountants import epsilon
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.histories import event, parse
from tests.dp.histories_drawn import sampled

PLAIN = {"noise_multiplier": 1.1, "sample_rate": 0.01, "steps": 1000}


def test_three_numbers_are_an_event() -> None:
    assert parse(json.dumps([PLAIN])) == (sampled(1.1, 0.01, 1000),)
    assert event(1.1, 0.01, 1000) == sampled(1.1, 0.01, 1000)


def test_exported_events_read_back() -> None:
    written = [
        sampled(1.1, 0.064, 16).to_json() | {"round": 1, "site": "budapest"},
        PrivacyEvent(Mechanism.GAUSSIAN, 20.0, 1.0, 1, unit="patient").to_json(),
    ]
    read = parse(json.dumps(written))
    assert epsilon(read, 1e-5) == epsilon([sampled(1.1, 0.064, 16), sampled(20.0, 1.0, 1)], 1e-5)
    assert read[1].unit == "patient"


def test_decimal_strings_are_numbers() -> None:
    entry = {"noise_multiplier": "1.1", "sample_rate": "0.01", "steps": "1000"}
    assert parse(json.dumps([entry])) == parse(json.dumps([PLAIN]))


def test_a_sample_rate_of_one_is_the_gaussian_mechanism() -> None:
    assert parse(json.dumps([PLAIN | {"sample_rate": 1}]))[0].mechanism is Mechanism.GAUSSIAN


def test_an_empty_history_is_empty() -> None:
    assert parse("[]") == ()


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("{", "not JSON"),
        ("{}", "not a list"),
        ("[1]", "entry 1 of the history: it is not a JSON object"),
        (json.dumps([PLAIN, {"steps": 3}]), "entry 2 .*lacks noise_multiplier, sample_rate"),
        (json.dumps([PLAIN | {"noise_multiplier": -1}]), "entry 1 .*greater than 0"),
        (json.dumps([PLAIN | {"noise_multiplier": "NaN"}]), "entry 1 .*finite"),
        (json.dumps([PLAIN | {"sample_rate": "often"}]), "entry 1 .*not a decimal number"),
        (json.dumps([PLAIN | {"steps": "1e3"}]), "entry 1 .*whole number"),
        (json.dumps([PLAIN | {"mechanism": "laplace"}]), "entry 1 .*no known price"),
        (json.dumps([PLAIN | {"neighbouring": "replace"}]), "entry 1 .*not known"),
        (json.dumps([PLAIN | {"sampler": "shuffled"}]), "entry 1 .*not known"),
    ],
)
def test_a_mistake_is_named(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        parse(text)


def test_several_rows_of_a_unit_are_not_passed_over() -> None:
    (read,) = parse(json.dumps([PLAIN | {"rows_per_unit": "5"}]))
    assert read.rows_per_unit == 5
