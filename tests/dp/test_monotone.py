"""ε grows with steps and sample rate, and falls with noise and δ: on every history drawn."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from tests.dp.histories_drawn import events, histories, sampled

ROUNDING = 1e-6  # of an ε; where PLD changes its grid, its own certified gap is the measure
FEW = settings(max_examples=6, deadline=None)
MANY = settings(max_examples=60, deadline=None)


def dearer(event: PrivacyEvent, change: str, factor: float) -> PrivacyEvent:
    if change == "steps":
        return replace(event, steps=event.steps + int(100 * factor))
    if change == "rate":
        return replace(event, sample_rate=min(1.0, event.sample_rate * factor))
    return replace(event, noise_multiplier=event.noise_multiplier / factor)


def certain(figure: Figure) -> float:
    """What was spent at the very least, as far as the accountant knows; close to its figure."""
    if figure.low is None:
        return figure.epsilon
    assert figure.low >= figure.epsilon * (1 - 2e-3) - 1e-6
    return figure.low


CHANGES = st.sampled_from(["steps", "rate", "noise"])
FACTORS = st.floats(1.0, 3.0)


def check(accountant: str, history: list[PrivacyEvent], change: str, factor: float) -> None:
    first, *rest = history
    before = certain(epsilon(history, 1e-5, accountant))
    after = epsilon([dearer(first, change, factor), *rest], 1e-5, accountant).epsilon
    assert after >= before * (1 - ROUNDING) - ROUNDING


@MANY
@given(histories(), CHANGES, FACTORS)
def test_rdp_grows_with_what_costs(history: list[PrivacyEvent], change: str, factor: float) -> None:
    check("rdp", history, change, factor)


@FEW
@given(histories(most=2), CHANGES, FACTORS)
def test_pld_grows_with_what_costs(history: list[PrivacyEvent], change: str, factor: float) -> None:
    check("pld", history, change, factor)


@FEW
@given(events(), st.floats(1e-9, 0.1), FACTORS)
def test_a_larger_delta_never_costs_more(event: PrivacyEvent, delta: float, factor: float) -> None:
    for accountant in ("pld", "rdp"):
        loose = epsilon([event], delta * factor, accountant).epsilon
        assert loose <= epsilon([event], delta, accountant).epsilon + ROUNDING


@FEW
@given(histories(most=1), events())
def test_doing_more_never_costs_less(history: list[PrivacyEvent], more: PrivacyEvent) -> None:
    before = certain(epsilon(history, 1e-5))
    assert epsilon([*history, more], 1e-5).epsilon >= before * (1 - ROUNDING) - ROUNDING


def test_a_history_that_grows_round_by_round_ends_where_it_ends_at_once() -> None:
    rounds = [sampled(3.0 - 0.2 * number, 0.05, 8) for number in range(8)]
    grown = [epsilon(rounds[: number + 1], 1e-5) for number in range(8)]
    assert [f.epsilon for f in grown] == sorted(f.epsilon for f in grown)
    assert epsilon(rounds[::-1], 1e-5) == grown[-1]
