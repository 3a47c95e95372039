"""A history that grows gives, at every round and to the last bit, what it gives from scratch."""

import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp import compositions
from accounting.dp.accountants.pld import PldAccountant
from accounting.dp.compositions import Shelf
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from tests.dp.histories_drawn import histories, sampled

HISTOGRAM = sampled(20.0, 1.0, 1)
SCHEDULES = {
    "falling": [3.0 - 0.15 * number for number in range(10)],
    "rising": [1.6 + 0.15 * number for number in range(10)],
    "to and fro": [2.0, 1.7, 2.0, 3.1, 1.7, 1.7, 2.4, 3.1, 1.9, 2.0],
}


def figure(history: list[PrivacyEvent], delta: float = 1e-5) -> Figure:
    return PldAccountant().epsilon(history, delta)


def from_scratch(history: list[PrivacyEvent], delta: float = 1e-5) -> Figure:
    compositions.forget()
    return figure(history, delta)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("histograms", [False, True])
def test_growing_is_composing_from_scratch(schedule: str, histograms: bool) -> None:
    history: list[PrivacyEvent] = []
    grown = []
    compositions.forget()
    for noise in SCHEDULES[schedule]:
        history += [sampled(noise, 0.05, 8), *([HISTOGRAM] if histograms else [])]
        grown.append(figure(history))
    per_round = 2 if histograms else 1
    for number, found in enumerate(grown, start=1):
        assert from_scratch(history[: number * per_round]) == found


@settings(max_examples=10, deadline=None)
@given(histories(most=4), st.randoms())
def test_neither_order_nor_what_came_before_shows(
    history: list[PrivacyEvent], random: object
) -> None:
    expected = from_scratch(history)
    parts = [replace(e, steps=s) for e in history for s in (e.steps // 2, -(-e.steps // 2)) if s]
    random.shuffle(parts)  # type: ignore[attr-defined]
    compositions.forget()
    for end in range(1, len(parts) + 1):
        last = figure(parts[:end])
    assert last == expected


def test_giving_back_is_composing_what_is_left() -> None:
    history = [sampled(1.5, 0.05, 40), sampled(2.5, 0.05, 40)]
    expected = from_scratch(history)
    figure([*history, sampled(1.2, 0.05, 8)])
    figure([*history, history[0]])
    assert figure(history) == expected


def test_threads_that_share_the_shelves_agree() -> None:
    """As many web threads ask about growing histories at once."""
    rounds = [sampled(2.0 - 0.05 * number, 0.05, 8) for number in range(12)]
    expected = [from_scratch(rounds[: end + 1]).epsilon for end in range(12)]
    compositions.forget()
    found: dict[int, list[float]] = {}

    def ask(name: int) -> None:
        found[name] = [figure(rounds[: end + 1]).epsilon for end in range(12)]

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), expected)


class Weight:
    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


def test_a_shelf_holds_only_so_many_bytes() -> None:
    shelf: Shelf[Weight] = Shelf(100)
    for name in "abcd":
        shelf.put(name, Weight(40))
        assert shelf.get("a") is not None or name == "d"
    shelf.get("a")
    assert [shelf.get(name) is not None for name in "abcd"] == [True, False, False, True]


def test_a_shelf_keeps_the_last_thing_however_large() -> None:
    shelf: Shelf[Weight] = Shelf(100)
    shelf.put("small", Weight(1))
    shelf.put("large", Weight(1000))
    assert shelf.get("large") is not None
    assert shelf.get("small") is None
    shelf.clear()
    assert shelf.get("large") is None
