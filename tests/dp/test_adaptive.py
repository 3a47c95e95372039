"""Choosing the next noise: by the rule, within the bounds, and never more than what is left."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.dp.adaptive import SAVING, Rule, propose
from accounting.dp.calibration import next_noise
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.filters import best_order, fits_adaptively, room

LINEAR = float  # n equal rounds need noise n
BOUNDS = {"least_noise": 0.5, "most_noise": 50.0}


@pytest.mark.parametrize(
    ("metrics", "rule", "factor"),
    [
        ([], Rule.EVEN, 1.0),
        ([0.7], Rule.EVEN, 1.0),
        ([0.7, 0.75], Rule.SAVE, SAVING),
        ([0.7, 0.705], Rule.SPEND, 0.75),
        ([0.7, 0.8, 0.75], Rule.SPEND, 0.75),
        ([0.5, 0.8, 0.75, 0.82], Rule.SAVE, SAVING),
    ],
)
def test_the_rule(metrics, rule, factor):
    proposal = propose(noise_for=LINEAR, metrics=metrics, rounds_left=4, **BOUNDS)
    assert proposal.rule is rule
    assert proposal.noise_multiplier == pytest.approx(4.0 * factor)


@given(
    even=st.floats(0.01, 1000.0),
    metrics=st.lists(st.floats(0.0, 1.0), max_size=6),
    least=st.floats(0.1, 5.0),
    width=st.floats(0.0, 20.0),
)
def test_a_proposal_stays_within_its_bounds(even, metrics, least, width):
    proposal = propose(
        noise_for=lambda _: even,
        metrics=metrics,
        rounds_left=2,
        least_noise=least,
        most_noise=least + width,
    )
    assert least <= proposal.noise_multiplier <= least + width


def test_the_last_round_takes_what_is_left():
    proposal = propose(noise_for=LINEAR, metrics=[0.5, 0.5], rounds_left=1, **BOUNDS)
    assert proposal.rule is Rule.LAST
    assert proposal.noise_multiplier == 1.0


def test_bounds_in_the_wrong_order():
    with pytest.raises(ValueError, match="above most_noise"):
        propose(noise_for=LINEAR, metrics=[], rounds_left=2, least_noise=2.0, most_noise=1.0)


@settings(deadline=None, max_examples=20)
@given(
    rounds=st.integers(1, 12),
    metrics=st.lists(st.floats(0.0, 1.0), min_size=12, max_size=12),
    budget=st.floats(0.3, 8.0),
)
def test_whatever_the_metrics_a_study_by_the_rule_ends_within_its_filter(rounds, metrics, budget):
    """The even noise is asked anew before each round, so saving and spending balance."""
    order, spent = best_order(budget, 1e-5), []
    for number in range(rounds):
        left = room(spent, budget, 1e-5, order)

        def noise_for(shares, left=left):
            return next_noise(
                room=left, order=order, sample_rate=0.1, steps_per_round=5, rounds_left=shares
            )

        chosen = propose(
            noise_for=noise_for,
            metrics=metrics[:number],
            rounds_left=rounds - number,
            least_noise=0.3,
            most_noise=1e5,
        ).noise_multiplier
        spent.append(PrivacyEvent(Mechanism.POISSON_GAUSSIAN, chosen, 0.1, 5))
        assert fits_adaptively(spent, budget * (1 + 1e-9), 1e-5, order).fits
