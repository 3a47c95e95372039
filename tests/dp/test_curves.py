"""ε round by round on one lattice: certified at every round, and exact at the last."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.accountants import epsilon
from accounting.dp.curves import alone, composed_after
from accounting.dp.events import Mechanism, PrivacyEvent
from tests.dp.histories_drawn import sampled

HISTOGRAM = PrivacyEvent(Mechanism.GAUSSIAN, 20.0, 1.0, 1)


def flat(rounds: list[tuple[PrivacyEvent, ...]]) -> list[PrivacyEvent]:
    return [event for events in rounds for event in events]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(0.7, 20.0), min_size=1, max_size=12),
    st.sampled_from([0.01, 0.2, 1.0]),
    st.integers(1, 20),
)
def test_each_point_bounds_the_truth_and_the_last_is_the_figure(
    noises: list[float], rate: float, steps: int
) -> None:
    rounds = [(sampled(noise, rate, steps), HISTOGRAM) for noise in noises]
    numbers = range(1, len(rounds) + 1)
    found = composed_after(rounds, 1e-5, numbers)
    for number, figure in zip(numbers, found, strict=True):
        own = epsilon(flat(rounds[:number]), 1e-5)
        assert (own.low or 0.0) <= figure.epsilon
        assert figure.epsilon <= own.epsilon * 1.01 + 1e-4
    assert found[-1] == epsilon(flat(rounds), 1e-5)


def test_what_was_spent_before_counts_at_every_round() -> None:
    before = [sampled(2.0, 0.1, 50)]
    rounds = [(sampled(4.0, 0.1, 10),)] * 6
    found = composed_after(rounds, 1e-5, (2, 6), before)
    assert found[1] == epsilon([*before, *flat(rounds)], 1e-5)
    assert found[0].epsilon == pytest.approx(
        epsilon([*before, *flat(rounds[:2])], 1e-5).epsilon, rel=1e-3
    )


def test_only_what_is_listed_is_answered() -> None:
    rounds = [(sampled(4.0, 0.1, 10),)] * 9
    assert len(composed_after(rounds, 1e-5, (1, 4, 9))) == 3


def test_one_round_alone_is_bounded_on_the_lattice_of_all() -> None:
    rounds = [(sampled(noise, 0.1, 10),) for noise in (2.0, 4.0, 8.0)]
    for figure, (event,) in zip(alone(rounds, 1e-6, flat(rounds)), rounds, strict=True):
        own = epsilon([event], 1e-6)
        assert own.low is not None
        assert own.low <= figure.epsilon <= own.epsilon * 1.02


def test_a_delta_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="delta"):
        composed_after([(sampled(4.0, 0.1, 10),)], 1e-12, (1,))
