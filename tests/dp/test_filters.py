"""A history fits a limit exactly when its reference figure does, and the quick way never lies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.accountants.rdp import ORDERS
from accounting.dp.events import PrivacyEvent
from accounting.dp.filters import fits, fits_adaptively, room, spent
from tests.dp.histories_drawn import histories, sampled

HISTORY = [sampled(1.1, 0.01, 1000)]
TIGHT = epsilon(HISTORY, 1e-5).epsilon
LOOSE = epsilon(HISTORY, 1e-5, "rdp").epsilon


@pytest.mark.parametrize(
    ("limit", "answer", "by"),
    [
        (LOOSE, True, "rdp"),
        ((TIGHT + LOOSE) / 2, True, "pld"),
        (TIGHT, True, "pld"),
        (TIGHT * 0.999, False, "pld"),
    ],
)
def test_the_cheapest_accountant_that_can_tell_decides(limit: float, answer: bool, by: str) -> None:
    verdict = fits(HISTORY, limit, 1e-5)
    assert (verdict.fits, verdict.figure.accountant, verdict.limit) == (answer, by, limit)
    assert verdict.fits == (verdict.figure.epsilon <= limit)


@settings(max_examples=12, deadline=None)
@given(st.builds(sampled, st.just(4.0), st.just(0.05), st.integers(1, 200)), st.floats(0.05, 2.0))
def test_the_quick_way_never_admits_what_the_reference_refuses(
    event: PrivacyEvent, limit: float
) -> None:
    assert fits([event], limit, 1e-5).fits == (spent([event], 1e-5).epsilon <= limit)


def test_spent_is_the_reference_figure() -> None:
    assert spent(HISTORY, 1e-5) == epsilon(HISTORY, 1e-5, "pld")
    assert spent([], 1e-5).epsilon == 0.0


@given(histories(), st.sampled_from([float(order) for order in ORDERS]))
def test_one_sealed_order_is_never_better_than_the_best(
    history: list[PrivacyEvent], order: float
) -> None:
    verdict = fits_adaptively(history, 1.0, 1e-5, order)
    assert verdict.figure.epsilon >= epsilon(history, 1e-5, "rdp").epsilon * (1 - 1e-12)
    assert f"order {order:g}" in verdict.figure.discretisation


def test_the_filter_admits_up_to_its_limit_and_no_further() -> None:
    figure = fits_adaptively(HISTORY, 100.0, 1e-5, 12.0).figure
    assert fits_adaptively(HISTORY, figure.epsilon, 1e-5, 12.0).fits
    assert not fits_adaptively(HISTORY, figure.epsilon * 0.999, 1e-5, 12.0).fits


def test_an_order_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="not on the grid"):
        fits_adaptively(HISTORY, 1.0, 1e-5, 12.34)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_is_a_positive_number(limit: float) -> None:
    with pytest.raises(ValueError, match="epsilon_limit"):
        fits(HISTORY, limit, 1e-5)
    with pytest.raises(ValueError, match="epsilon_limit"):
        fits_adaptively(HISTORY, limit, 1e-5, 12.0)


@given(histories(), st.sampled_from([1.5, 4.0, 12.0, 64.0]), st.floats(0.05, 20.0))
def test_there_is_room_exactly_where_the_filter_fits(
    history: list[PrivacyEvent], order: float, limit: float
) -> None:
    left = room(history, limit, 1e-5, order)
    assert fits_adaptively(history, limit, 1e-5, order).fits == (left >= 0) or abs(left) < 1e-9


def test_room_is_used_up_by_adding() -> None:
    more = [sampled(2.0, 0.1, 16)]
    before, cost = room(HISTORY, 5.0, 1e-5, 8.0), room([], 5.0, 1e-5, 8.0)
    used = cost - room(more, 5.0, 1e-5, 8.0)
    assert room([*HISTORY, *more], 5.0, 1e-5, 8.0) == pytest.approx(before - used)
    assert used > 0
