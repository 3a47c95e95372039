"""Order, splitting and descriptions of equal events change no ε, to the last bit."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.accountants.pld import PldAccountant
from accounting.dp.accountants.rdp import RdpAccountant
from accounting.dp.events import Mechanism, PrivacyEvent, merged
from tests.dp.histories_drawn import histories, sampled

DELTA = 1e-5


@given(histories(), st.randoms())
def test_permuting_gives_the_same_merged_history(
    events: list[PrivacyEvent], random: object
) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert merged(shuffled) == merged(events)


@given(histories(), st.integers(1, 199))
def test_splitting_an_event_gives_the_same_merged_history(
    events: list[PrivacyEvent], part: int
) -> None:
    first, *rest = events
    if part >= first.steps:
        return
    parts = [replace(first, steps=part), replace(first, steps=first.steps - part)]
    assert merged([*parts, *rest]) == merged(events)


@given(histories())
def test_merging_again_changes_nothing(events: list[PrivacyEvent]) -> None:
    once = merged(events)
    assert merged(once) == once
    assert sum(event.steps for event in once) == sum(event.steps for event in events)


@settings(max_examples=6, deadline=None)
@given(events=histories(most=3), random=st.randoms())
def test_pld_sees_no_order(events: list[PrivacyEvent], random: object) -> None:
    assert epsilon(_halved(events, random), DELTA) == epsilon(events, DELTA)
    unmerged = PldAccountant().epsilon(_halved(events, random), DELTA)
    assert unmerged == epsilon(events, DELTA)


@settings(max_examples=100, deadline=None)
@given(events=histories(), random=st.randoms())
def test_rdp_sees_no_order(events: list[PrivacyEvent], random: object) -> None:
    whole = RdpAccountant().epsilon(events, DELTA).epsilon
    halved = RdpAccountant().epsilon(_halved(events, random), DELTA).epsilon
    assert halved == pytest.approx(whole, rel=1e-12)


def _halved(events: list[PrivacyEvent], random: object) -> list[PrivacyEvent]:
    """Each event in two parts, everything shuffled."""
    parts = [replace(e, steps=s) for e in events for s in (e.steps // 2, -(-e.steps // 2)) if s]
    random.shuffle(parts)  # type: ignore[attr-defined]
    return parts


def test_a_full_batch_is_a_sample_of_everybody() -> None:
    plain = PrivacyEvent(Mechanism.GAUSSIAN, 4.0, 1.0, 3)
    assert merged([plain]) == merged([sampled(4.0, 1.0, 3)])


def test_descriptions_do_not_split_a_history() -> None:
    one = replace(sampled(1.1, 0.01, 5), max_grad_norm=0.5, unit="patient")
    other = replace(sampled(1.1, 0.01, 7), max_grad_norm=2.0)
    assert merged([one, other]) == (sampled(1.1, 0.01, 12),)


def test_thousands_of_equal_rounds_are_one_event() -> None:
    assert merged([sampled(1.1, 0.01, 16)] * 5000) == (sampled(1.1, 0.01, 80000),)
