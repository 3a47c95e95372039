"""Patience: absences, refusals and unanswered work never need a person and never spin."""

import time

import pytest
from structlog.testing import capture_logs

from federation.site.transport import polling as module
from federation.site.transport.client import AccessRefused, HubAbsent, RequestRejected
from federation.site.transport.polling import Polling


class Receiving:
    """Answers as told: an exception is raised, anything else returned."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)

    def assignment(self, wait: int, ledger_size: int = 0) -> object:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that were asked for, not waited."""
    waits: list[float] = []
    monkeypatch.setattr(Polling, "_sleep", lambda self, seconds: waits.append(seconds))
    return waits


def test_absence_backs_off_and_says_so_once(slept: list[float]) -> None:
    polling = Polling(Receiving(*[HubAbsent("away")] * 12, b"work"), arrived=lambda: None)
    with capture_logs() as logs:
        assert [polling.next() for _ in range(12)] == [None] * 12
        assert polling.next() == b"work"
    assert [entry["event"] for entry in logs] == ["hub_absent", "hub_reached"]
    assert slept[0] <= module.FIRST_SECONDS
    assert max(slept) <= module.LONGEST_SECONDS


def test_waits_grow_to_the_cap_and_are_spread(slept: list[float]) -> None:
    def away() -> None:
        raise HubAbsent("away")

    polling = Polling(Receiving(), arrived=away)
    for _ in range(40):
        polling.next()
    assert slept[0] < slept[3] < slept[6]
    assert all(7.5 <= wait <= 15 for wait in slept[10:])
    assert len(set(slept[10:])) > 5


def test_the_offer_goes_out_at_first_contact_and_after_each_absence(slept: list[float]) -> None:
    arrivals: list[int] = []
    polling = Polling(
        Receiving(None, b"a", HubAbsent("away"), b"b"), arrived=lambda: arrivals.append(1)
    )
    assert [polling.next() for _ in range(4)] == [None, b"a", None, b"b"]
    assert len(arrivals) == 2


def test_the_hub_may_ask_for_a_longer_wait(slept: list[float]) -> None:
    polling = Polling(Receiving(HubAbsent("busy", retry_after=40)), arrived=lambda: None)
    polling.next()
    assert slept == [40]


@pytest.mark.parametrize("error", [AccessRefused("unknown key"), RequestRejected(404, "no")])
def test_a_refusal_is_reported_with_advice_and_retried_slowly(
    slept: list[float], error: Exception
) -> None:
    polling = Polling(Receiving(error, error, error), arrived=lambda: None)
    with capture_logs() as logs:
        for _ in range(3):
            polling.next()
    refused = [entry for entry in logs if entry["event"] == "hub_refuses_this_site"]
    assert refused[0]["why"] == str(error)
    assert "check" in refused[0]["advice"]
    assert all(wait >= 15 for wait in slept)


def test_unanswered_work_comes_again_at_a_growing_distance(slept: list[float]) -> None:
    polling = Polling(Receiving(), arrived=lambda: None)
    for _ in range(5):
        polling.answered(False)
    assert slept[0] < slept[-1]
    polling.answered(True)
    polling.answered(False)
    assert slept[-1] <= module.FIRST_SECONDS


def test_a_wait_ends_soon_after_stop() -> None:
    polling = Polling(Receiving(AccessRefused("no")), arrived=lambda: None)
    polling.stop()
    started = time.monotonic()
    polling.next()
    assert time.monotonic() - started < 1
