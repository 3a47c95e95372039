"""What a sealed plan still adds: composed on top of what was spent, never a straight line."""

import pytest

from accounting.dp.accountants import epsilon
from accounting.selectors import forecasts
from federation.protocol import plans
from tests.accounting import builders as b
from tests.accounting import world as w

pytestmark = pytest.mark.django_db
ROUNDS = 8


@pytest.fixture
def protocol():
    """Eight rounds, each with its own noise, of which three bring a histogram."""
    text = w.protocol("Heart").model_dump(mode="json", exclude_none=True)
    text["privacy"]["schedule"] = "harmonic"
    text["rounds"]["count"] = ROUNDS
    text["evaluation"] = {"every": 3, "holdout": 0.2, "noise_multiplier": 8.0}
    return plans.seal(type(w.protocol("Heart")).model_validate(text))


def spend(protocol, upto: int, times: int = 1) -> list:
    """Rounds 1 to `upto` at Cleveland, each `times` over; the events."""
    b.lend("cleveland", epsilon="9")
    spent = []
    for number in range(1, upto + 1):
        for phase, event in plans.round_events(protocol, number).items():
            for attempt in range(1, times + 1):
                b.reserve(
                    b.key(number=number, attempt=attempt, phase=phase), event, b.Limit(9, 1e-3)
                )
                spent.append(event)
    return spent


def expected(protocol, spent, number: int, done: int) -> float:
    """By composing everything up to a round anew."""
    coming = [
        event
        for n in range(done + 1, number + 1)
        for event in plans.round_events(protocol, n).values()
    ]
    return epsilon([*spent, *coming], 1e-3).epsilon


@pytest.mark.parametrize(("done", "times"), [(0, 1), (3, 1), (3, 2)])
def test_every_point_is_the_composed_history(protocol, done, times):
    spent = spend(protocol, done, times)
    points = forecasts.ahead("heart", "cleveland", protocol, done)
    assert [number for number, _ in points] == list(range(done + 1, ROUNDS + 1))
    for number, shown in points:
        assert shown == pytest.approx(expected(protocol, spent, number, done), rel=1e-3)


def test_an_untouched_plan_ends_at_its_sealed_price_and_is_no_straight_line(protocol):
    points = dict(forecasts.ahead("heart", "cleveland", protocol, 0))
    whole = float(protocol.plan.epsilon)
    assert points[ROUNDS] == whole
    assert points[1] > 1.5 * whole / ROUNDS


def test_what_is_repeated_ends_above_the_plan(protocol):
    spend(protocol, 3, times=2)
    assert forecasts.ahead("heart", "cleveland", protocol, 3)[-1][1] > float(protocol.plan.epsilon)


def test_where_nothing_is_sealed_nothing_is_forecast(protocol):
    assert forecasts.ahead("heart", "cleveland", plans.unsealed(protocol), 0) == ()
    assert forecasts.ahead("heart", "cleveland", protocol, ROUNDS) == ()


def test_noise_chosen_on_the_way_has_no_forecast(protocol):
    text = protocol.model_dump(mode="json", exclude_none=True)
    text["privacy"] |= {"schedule": "uniform", "adaptive": {"least_noise": 0.5, "most_noise": 90}}
    adaptive = plans.seal(type(protocol).model_validate({**text, "plan": None}))
    assert forecasts.ahead("heart", "cleveland", adaptive, 0) == ()


def test_too_many_noises_are_not_drawn(protocol, monkeypatch):
    monkeypatch.setattr(forecasts, "MOST_NOISES", 3)
    forecasts._composed.cache_clear()
    assert forecasts.ahead("heart", "cleveland", protocol, 0) == ()
    forecasts._composed.cache_clear()
