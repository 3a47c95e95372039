"""What a simulation assumes where the study file is silent, and what it doubts aloud."""

import pytest

from config.launch.simulation import doubts
from config.launch.sites import stated_limits
from federation.protocol import plans
from federation.protocol.study_file import example, parse

BUDGETED = example().replace(
    "target_epsilon = 1.0 ", "noise_multiplier = 0.5\nepsilon_budget = 2.0\n#"
)


def test_a_budget_below_the_plan_is_left_to_the_study_to_enforce():
    study = parse(BUDGETED)
    sealed = plans.seal(study.protocol)
    planned = float(sealed.plan.epsilon)
    assert plans.epsilon_budget(sealed, None) == 2.0 < 10.0 < planned
    silent = stated_limits(study.institutions[1], sealed)
    assert silent["max_epsilon_per_study"] == silent["lifetime_epsilon"] == planned
    stated = stated_limits(study.institutions[0], sealed)
    assert stated["max_epsilon_per_study"] == 3.0


@pytest.mark.parametrize(("delta", "doubted"), [("1e-3", False), ("3.3e-3", False), ("0.01", True)])
def test_a_delta_of_one_over_the_smallest_cohort_is_doubted(delta, doubted):
    study = parse(example().replace("target_delta = 1e-3", f"target_delta = {delta}"))
    found = doubts(study.protocol)
    assert bool(found) is doubted
    assert all("privacy.target_delta" in sentence for sentence in found)
