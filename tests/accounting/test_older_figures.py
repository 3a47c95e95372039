"""Figures of the accountant before ours still verify; ours are held to the last digits."""

import pytest

from accounting.dp.accountants import epsilon
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.services.wrong import Wrong, check_scope, same_figure

OURS = epsilon([PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 1.1, 0.01, 1000)], 1e-5)
BEFORE = "dp_accounting 0.6.0 (PLD)"


def stored(said: float, version: str) -> dict[str, str]:
    return {"accountant": "pld", "version": version, "epsilon": repr(said), "limit": "1.5153702"}


def test_a_figure_of_the_library_is_close_enough() -> None:
    """What dp_accounting 0.6.0 wrote for this history; its limit was calibrated on that."""
    before = stored(1.5153702481094293, BEFORE) | {"scope": "study"}
    same_figure(before, OURS)
    check_scope(before, "study", OURS)


@pytest.mark.parametrize("said", [1.50, 1.53])
def test_but_it_is_no_licence(said: float) -> None:
    with pytest.raises(Wrong, match="written by dp_accounting"):
        same_figure(stored(said, BEFORE), OURS)


def test_ours_is_held_to_its_last_digits() -> None:
    same_figure(stored(OURS.epsilon, OURS.version), OURS)
    with pytest.raises(Wrong, match="it says"):
        same_figure(stored(OURS.epsilon * (1 + 1e-5), OURS.version), OURS)
    with pytest.raises(Wrong, match="should have been refused"):
        check_scope(stored(OURS.epsilon, OURS.version) | {"scope": "study"}, "study", OURS)
