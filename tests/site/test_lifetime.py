"""A lineage's lifetime at the site: tight for a sealed plan, the RDP filter for what came after."""

from pathlib import Path

import pytest

from accounting.dp.accountants import epsilon
from accounting.dp.events import Mechanism, PrivacyEvent
from federation.site.config import Dataset, Limits
from federation.site.limits import Request, check_limits
from federation.site.refused import Refused
from tests.site.conftest import study

EVENT = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, 2.0, 0.1, 8)
DELTA = 1e-3
WIDE = Limits(max_epsilon_per_study=100.0)


def asked(lifetime: float, *, plan: int, of_study: int, of_lineage: int) -> Request:
    """One more EVENT under a plan of `plan`, after so many of this study and of the lineage."""
    return Request(
        protocol=study(),
        plan=(EVENT,) * plan,
        protocol_digest="0" * 64,
        dataset=Dataset(
            name="heart", file=Path("x"), lifetime_epsilon=lifetime, lifetime_delta=DELTA
        ),
        event=EVENT,
        of_study=(EVENT,) * of_study,
        of_lineage=(EVENT,) * of_lineage,
    )


@pytest.fixture
def tight() -> float:
    """What four events cost exactly: more than PLD says, and less than any RDP filter."""
    found = epsilon([EVENT] * 4, DELTA)
    assert found.epsilon < epsilon([EVENT] * 4, DELTA, "rdp").epsilon
    return found.epsilon * (1 + 1e-9)


def test_a_sealed_plan_may_use_its_lifetime_up(tight: float) -> None:
    check_limits(WIDE, asked(tight, plan=4, of_study=3, of_lineage=3))


@pytest.mark.parametrize(
    "history",
    [
        {"plan": 3, "of_study": 3, "of_lineage": 3},  # an attempt more than was sealed
        {"plan": 2, "of_study": 1, "of_lineage": 3},  # two rounds were another study's
        {"plan": 9, "of_study": 1, "of_lineage": 3},  # the same, though the plan has room
    ],
)
def test_what_was_chosen_on_the_way_is_judged_by_the_filter(
    tight: float, history: dict[str, int]
) -> None:
    with pytest.raises(Refused, match="lifetime budget"):
        check_limits(WIDE, asked(tight, **history))
    check_limits(WIDE, asked(2 * tight, **history))
