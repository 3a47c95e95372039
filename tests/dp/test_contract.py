"""What every accountant promises; a new file in the folder is held to it without a word here."""

import math
import sys
from contextlib import suppress

import pytest

from accounting.dp import accountants
from accounting.dp.accountants import Accountant, Unbounded, UnknownAccountant
from accounting.dp.events import PrivacyEvent
from tests.dp.histories_drawn import sampled

BASE = sampled(1.1, 0.05, 40)
CHEAPER = {
    "fewer steps": sampled(1.1, 0.05, 30),
    "a lower rate": sampled(1.1, 0.04, 40),
    "more noise": sampled(1.3, 0.05, 40),
}


@pytest.fixture(params=accountants.names())
def accountant(request: pytest.FixtureRequest) -> Accountant:
    return accountants.get(request.param)


def test_a_figure_names_its_origin(accountant: Accountant) -> None:
    figure = accountant.epsilon([BASE], 1e-5)
    assert figure.accountant == accountant.name
    assert figure.version == accountant.version
    assert accountant.name in accountants.names()
    assert any(char.isdigit() for char in figure.version)
    assert figure.discretisation
    assert figure.delta == 1e-5
    assert type(figure.epsilon) is float
    assert 0.3 < figure.epsilon < 3.0


def test_nothing_done_costs_nothing(accountant: Accountant) -> None:
    assert accountant.epsilon([], 1e-5).epsilon == 0.0


@pytest.mark.parametrize("change", CHEAPER)
def test_it_costs_less_with(accountant: Accountant, change: str) -> None:
    cheaper = accountant.epsilon([CHEAPER[change]], 1e-5).epsilon
    assert cheaper < accountant.epsilon([BASE], 1e-5).epsilon


def test_a_larger_delta_costs_less(accountant: Accountant) -> None:
    assert accountant.epsilon([BASE], 1e-3).epsilon < accountant.epsilon([BASE], 1e-6).epsilon


def test_composing_costs_more_than_either_and_less_than_the_sum(accountant: Accountant) -> None:
    other = sampled(20.0, 1.0, 5)
    both = accountant.epsilon([BASE, other], 1e-5).epsilon
    each = [accountant.epsilon([event], 1e-5).epsilon for event in (BASE, other)]
    assert max(each) < both < sum(each)


@pytest.mark.parametrize("delta", [0.0, -1e-5, 1e-11, 1.0, 2.0, math.nan, math.inf])
def test_a_meaningless_delta_is_refused(accountant: Accountant, delta: float) -> None:
    with pytest.raises(ValueError, match="delta is"):
        accountant.epsilon([BASE], delta)


@pytest.mark.parametrize(
    "event",
    [
        sampled(1e-6, 0.5, 10**12),
        sampled(1e-6, 1.0, 10**12),
        sampled(1e-4, 0.5, 10),
        sampled(0.01, 0.1, 100),
        sampled(1.0, 0.5, 10**12),
        sampled(1e12, 1e-12, 1),
        sampled(1e12, 1.0, 10**12),
    ],
    ids=repr,
)
def test_at_the_limits_it_answers_a_number_or_that_it_cannot(
    accountant: Accountant, event: PrivacyEvent
) -> None:
    with suppress(Unbounded):
        figure = accountant.epsilon([event], 1e-5)
        assert math.isfinite(figure.epsilon)
        assert figure.epsilon >= 0


def test_an_unknown_name_gets_the_list() -> None:
    with pytest.raises(UnknownAccountant, match="pld, prv, rdp"):
        accountants.get("gdp")


def test_the_same_history_is_computed_once() -> None:
    first = accountants.epsilon([BASE, BASE], 1e-5)
    assert accountants.epsilon([sampled(1.1, 0.05, 80)], 1e-5) is first


def test_the_list_of_names_imports_none_of_them() -> None:
    assert set(accountants.names()) >= {"pld", "rdp", "prv"}
    assert "accounting.dp.accountants" in sys.modules
