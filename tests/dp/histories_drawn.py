"""Hypothesis strategies for histories of privacy events."""

from hypothesis import strategies as st

from accounting.dp.events import Mechanism, PrivacyEvent

# Few distinct values, so that equal events meet and one-step losses are computed once.
NOISES = (1.1, 2.0, 6.5)
RATES = (0.01, 0.3, 1.0)


def sampled(noise: float, rate: float, steps: int) -> PrivacyEvent:
    """A training event."""
    return PrivacyEvent(Mechanism.POISSON_GAUSSIAN, noise, rate, steps)


def events() -> st.SearchStrategy[PrivacyEvent]:
    """Training events on a small grid."""
    steps = st.integers(1, 200)
    return st.builds(sampled, st.sampled_from(NOISES), st.sampled_from(RATES), steps)


def histories(most: int = 5) -> st.SearchStrategy[list[PrivacyEvent]]:
    """Some events in any order."""
    return st.lists(events(), min_size=1, max_size=most)
