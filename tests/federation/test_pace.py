"""How fast a site steps is made of what the hub hears and when; sites say no durations."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.models import Assignment
from federation.selectors.pace import Pace, pace
from federation.services import deliveries, pacing
from federation.services.deliveries import Closed, Progress
from tests.federation.conftest import advance

START = datetime(2026, 1, 1, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def heard(step, steps, first=1, over=10.0, ends=3600.0):
    """A row that was heard of first at `first` and, `over` seconds later, at `step`."""
    return Assignment(
        status="taken",
        step=step,
        steps=steps,
        first_step=first,
        first_step_at=START,
        step_at=START + seconds(over),
        expires_at=START + seconds(ends),
    )


def test_known_answers():
    found = pace(heard(step=21, steps=101), START + seconds(10))
    assert found == Pace(rate=2.0, left=40.0, late=False)
    assert pace(heard(step=21, steps=101), START + seconds(20)).left == 30.0
    assert pace(heard(step=21, steps=101), START + seconds(999)).left == 0.0
    assert pace(heard(step=21, steps=101, ends=49), START + seconds(10)).late


@pytest.mark.parametrize(
    ("rate", "left", "late", "words"),
    [
        (12.34, 30, False, "12 steps a second, less than a minute left"),
        (0.2, 61, False, "12 steps a minute, about 2 minutes left"),
        (1 / 60, 119, False, "1 step a minute, about 2 minutes left"),
        (1 / 1800, 7200, True, "2 steps an hour, about 2 hours left: after the deadline"),
        (1 / 1800, 3 * 86400, False, "2 steps an hour, about 3 days left"),
        (1 / 200_000, 5000, False, "0.43 steps a day, about 84 minutes left"),
    ],
)
def test_words(rate, left, late, words):
    assert Pace(rate, left, late).words == words


@given(st.integers(2, 10**6), st.floats(0.1, 1e6), st.floats(0, 1e6))
def test_time_only_shortens_what_is_left(steps, over, later):
    row = heard(step=2, steps=steps, over=over)
    first, then = pace(row, row.step_at), pace(row, row.step_at + seconds(later))
    assert 0 <= then.left <= first.left
    assert first.left == pytest.approx((steps - 2) * over, rel=1e-5)


@pytest.mark.parametrize("change", [{"status": "answered"}, {"first_step_at": None}, {"step": 1}])
def test_there_is_none_before_two_steps_were_heard_of(change):
    row = heard(step=5, steps=9)
    for name, value in change.items():
        setattr(row, name, value)
    assert pace(row, START + seconds(10)) is None


@pytest.fixture
def zurich(study, sites, settings):
    """Zurich at work, as told at given seconds from now."""
    task = sites["zurich"].take()
    begun = Assignment.objects.get(uid=task.assignment).taken_at

    def tell(step: int, at: float) -> Assignment:
        now = begun + seconds(at)
        deliveries.progress(
            sites["zurich"].institution, task.assignment, Progress(step, 4), now=now
        )
        return Assignment.objects.get(uid=task.assignment)

    return tell


def test_reading_the_data_is_no_step(zurich):
    assert zurich(0, 1).first_step_at is None
    zurich(0, 5)
    row = zurich(1, 30)
    assert (row.first_step, row.step) == (1, 1)
    row = zurich(3, 34)
    assert pace(row, row.step_at).rate == 0.5


def test_the_same_step_again_moves_nothing(zurich):
    zurich(1, 1)
    before = zurich(2, 3)
    after = zurich(2, 9)
    assert (after.step_at, after.first_step_at) == (before.step_at, before.first_step_at)


def test_a_site_that_begins_again_has_a_new_rate(zurich):
    zurich(1, 1)
    zurich(3, 3)
    row = zurich(1, 20)
    assert pace(row, row.step_at) is None
    row = zurich(2, 30)
    assert pace(row, row.step_at).rate == 0.1


def test_a_closed_assignment_is_told_so_whether_the_step_changed_or_not(zurich, study):
    zurich(2, 1)
    advance(study, later=61)
    for step in (2, 3):
        with pytest.raises(Closed):
            zurich(step, 2)


def test_open_pages_hear_of_it_in_eighths_or_every_few_seconds(zurich, monkeypatch, study):
    news = []
    monkeypatch.setattr(pacing.events, "news", lambda kind, **about: news.append(about))
    Assignment.objects.update(steps=10**6)
    monkeypatch.setattr(pacing, "NEWS_EVERY", 10**9)

    def tell(step):
        row = Assignment.objects.get(institution__slug="zurich")
        now = START + seconds(step)
        pacing.note(row, step, Assignment.objects.filter(pk=row.pk), now)
        return len(news)

    assert [tell(step) for step in (1, 2, 3)] == [1, 1, 1]
    monkeypatch.setattr(pacing, "NEWS_EVERY", 5)
    assert [tell(step) for step in (4, 5, 6, 9, 10)] == [1, 2, 2, 2, 3]
    monkeypatch.setattr(pacing, "NEWS_EVERY", 10**9)
    assert tell(125_000) == 4
