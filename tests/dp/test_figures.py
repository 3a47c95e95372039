"""An ε is shown rounded up, and never where the accountant could not bound it."""

import json
import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.dp.figures import Figure, Unbounded, bounded, check_delta


def figure(epsilon: float) -> Figure:
    return Figure(epsilon, 1e-5, "pld", "some 1 (PLD)", "a grid")


@given(st.floats(0, 1e6), st.integers(0, 8))
def test_what_is_shown_is_never_less_than_what_was_spent(epsilon: float, places: int) -> None:
    shown = Decimal(figure(epsilon).shown(places))
    with localcontext(prec=500):
        assert 0 <= shown - Decimal(repr(epsilon)) < Decimal(1).scaleb(-places)


@pytest.mark.parametrize(
    ("epsilon", "shown"),
    [(1.0, "1.000"), (1.0000001, "1.001"), (0.1, "0.100"), (0.0, "0.000"), (1e-12, "0.001")],
)
def test_rounding_up_is_not_adding(epsilon: float, shown: str) -> None:
    assert figure(epsilon).shown() == shown


def test_a_release_without_noise_is_shown_as_infinite() -> None:
    assert figure(math.inf).shown() == "∞"


@given(st.floats(0, 1e6))
def test_json_keeps_every_digit(epsilon: float) -> None:
    document = json.loads(json.dumps(figure(epsilon).to_json()))
    assert document["epsilon"] == epsilon
    assert document["accountant"] == "pld"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1e-9])
def test_an_epsilon_that_was_not_bounded_is_refused(value: float) -> None:
    with pytest.raises(Unbounded, match="pld accountant could not bound"):
        bounded(value, "pld")


@pytest.mark.parametrize("delta", [1e-10, 1e-5, 0.999])
def test_a_sensible_delta_is_kept(delta: float) -> None:
    assert check_delta(delta) == delta
