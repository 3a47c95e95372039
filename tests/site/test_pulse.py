"""Progress leaves at a fixed pace, never when a step ends; a closed round ends the work."""

import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from federation.learning.training import Session
from federation.protocol.messages import Contribution, Reason, Refusal
from federation.site import pulse as module
from federation.site.assembly import Site
from federation.site.datasets import Datasets
from federation.site.pulse import Abandoned, Pulse
from federation.site.refused import Refused
from tests.site.conftest import model, study
from tests.site.hub import Hub
from tests.site.playing import answer_of, kinds, play_one, refused


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACE_SECONDS", 0.05)


@pytest.fixture
def uid(hub: Hub) -> str:
    """An assignment of four steps."""
    hub.approve(study())
    return hub.assign(study(), model())


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """at_step(k, act): `act` runs before step k."""
    acts: dict[int, Callable[[], object]] = {}
    step, count = Session.step, [0]

    def slow(self: Session) -> None:
        count[0] += 1
        acts.get(count[0], lambda: None)()
        step(self)

    monkeypatch.setattr(Session, "step", slow)
    return acts.__setitem__


def told(hub: Hub, uid: str, step: int) -> Callable[[], None]:
    """Wait until the hub was told of a step, then of the same one again."""
    told_so = hub.tasks[uid].progress

    def seen() -> bool:
        return told_so[-2:] == [{"step": step, "steps": 4}] * 2

    return lambda: hub.wait_for(seen, 10)


def test_steps_are_told_as_they_stand_at_each_beat(
    site: Site, hub: Hub, uid: str, at_step: Callable[..., None]
) -> None:
    at_step(3, told(hub, uid, 2))  # a long step is told again and again, and says no more
    assert play_one(site, hub, uid)
    assert isinstance(hub.answer(uid, 0), Contribution)
    steps = [progress["step"] for progress in hub.tasks[uid].progress]
    assert steps == sorted(steps)
    assert set(steps) <= {0, 1, 2}


def test_the_moments_do_not_depend_on_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps end at odd times; what is told comes at whole multiples of the pace."""
    monkeypatch.setattr(module, "PACE_SECONDS", 0.2)
    moments: list[float] = []
    start = time.monotonic()
    with Pulse(lambda step: bool(moments.append(time.monotonic())), lambda: False) as pulse:
        for step in range(1, 18):
            time.sleep(0.071)
            pulse.step_done(step)
    late = sorted((moment - start) % 0.2 for moment in moments)
    assert len(late) >= 3
    assert late[len(late) // 2] < 0.07  # the median: the machine may be busy


def test_a_step_longer_than_a_beat_can_be_timed_to_about_a_beat() -> None:
    """What the report says of the beats, and no more precisely than it says."""
    heard: dict[int, float] = {}
    start = time.monotonic()
    with Pulse(
        lambda step: bool(heard.setdefault(step, time.monotonic() - start) < 0), lambda: False
    ) as pulse:
        for step, length in enumerate((0.3, 0.6), 1):
            time.sleep(length)
            pulse.step_done(step)
        time.sleep(0.1)
    assert heard[2] - heard[1] == pytest.approx(0.6, abs=0.15)


def test_a_hub_that_answers_slowly_costs_no_step_and_keeps_the_moments() -> None:
    beats: list[float] = []

    def slow(step: int) -> bool:
        beats.append(time.monotonic())
        time.sleep(0.12)
        return False

    with Pulse(slow, lambda: False):
        time.sleep(0.6)
    gaps = [after - before for before, after in pairwise(beats)]
    assert gaps
    assert min(gaps) > 0.13  # not at once after the answer, but at the next whole multiple


def test_a_fast_round_tells_nothing(
    site: Site, hub: Hub, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PACE_SECONDS", 60.0)
    assert play_one(site, hub, uid)
    assert hub.tasks[uid].progress == []


def test_no_thread_outlives_its_round(site: Site, hub: Hub, uid: str) -> None:
    assert play_one(site, hub, uid)
    assert "pulse" not in {thread.name for thread in threading.enumerate()}


def test_a_hub_that_is_away_never_fails_a_round(
    site: Site, hub: Hub, uid: str, at_step: Callable[..., None]
) -> None:
    hub.fail_with["POST progress"] = 503
    tried = lambda: any("progress" in seen.path for seen in hub.seen)  # noqa: E731
    at_step(2, lambda: hub.wait_for(tried, 10))
    assert isinstance(answer_of(site, hub, study(), 1), Contribution)
    assert sum("progress" in seen.path for seen in hub.seen) == 1  # it is left in peace


def close(hub: Hub, uid: str) -> Callable[[], None]:
    """Close the assignment and wait until the site was told so."""

    def act() -> None:
        hub.tasks[uid].closed = True
        hub.wait_for(lambda: any(seen.status == 409 for seen in hub.seen), 10)
        time.sleep(0.02)  # the answer is on its way to the site's thread

    return act


def test_a_round_that_is_closed_while_a_site_trains_ends_at_the_next_step(
    site: Site, hub: Hub, uid: str, at_step: Callable[..., None]
) -> None:
    at_step(2, close(hub, uid))
    at_step(3, lambda: pytest.fail("a step was made after the round was closed"))
    assert play_one(site, hub, uid)
    assert kinds(site) == ["charged", "refused", "acknowledged"]
    assert hub.tasks[uid].tensors == []
    sent = next(seen for seen in hub.seen if seen.method == "PUT")
    assert b"cancelled" in sent.body


def test_nothing_leaves_for_a_round_that_was_closed_in_the_last_step(
    site: Site, hub: Hub, uid: str, at_step: Callable[..., None]
) -> None:
    at_step(4, close(hub, uid))
    assert play_one(site, hub, uid)
    assert hub.tasks[uid].tensors == []
    assert kinds(site) == ["charged", "refused", "acknowledged"]


def test_a_long_read_is_told_as_step_0_and_can_be_ended(
    site: Site, hub: Hub, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fail_with["POST progress"] = 410

    def read(self: Datasets, dataset: object, protocol: object, asked: Callable) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            asked()
            time.sleep(0.01)

    monkeypatch.setattr(Datasets, "read", read)
    answer = refused(site, hub, uid)
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.accessed) == (Reason.CANCELLED, True)
    body = next(seen.body for seen in hub.seen if "progress" in seen.path)
    assert body == b'{"step": 0, "steps": 4}'


def test_a_worker_that_is_to_end_abandons_even_a_closed_round() -> None:
    """Which of the two came first decides nothing: the assignment is not answered twice."""
    with Pulse(lambda step: True, lambda: True) as pulse:
        time.sleep(0.1)
        with pytest.raises(Abandoned):
            pulse.asked()
        with pytest.raises(Refused):
            pulse.check_wanted()
