"""Plans: the events of each round follow from the protocol, the sealed noise from the target."""

from typing import Any

import pytest

from accounting.dp.accountants import epsilon
from accounting.dp.events import Mechanism
from federation.protocol import plans
from federation.protocol.document import Protocol
from federation.protocol.plans import NoPlan, NotSealed
from tests.protocol import samples


def _protocol(**sections: dict[str, Any]) -> Protocol:
    document = samples.protocol().model_dump(mode="json")
    for name, changes in sections.items():
        document[name] |= changes
    return Protocol.model_validate(document)


SEALED = plans.seal(samples.protocol())


def test_the_plan_meets_the_target_with_its_histograms_counted_in() -> None:
    """The noise is as low as it may be: a percent less would break the target."""
    assert SEALED.plan is not None
    events = plans.plan_events(SEALED)
    figure = epsilon(events, 1e-3)
    assert figure.epsilon == float(SEALED.plan.epsilon) <= 1.0
    assert figure.epsilon > 0.99
    assert sum(event.mechanism is Mechanism.GAUSSIAN for event in events) == 2
    training = [e for e in events if e.mechanism is Mechanism.POISSON_GAUSSIAN]
    assert len(training) == len(SEALED.plan.noise_multipliers) == 10
    assert (SEALED.plan.accountant, SEALED.plan.version) == (figure.accountant, figure.version)


def test_histograms_cost_noise_elsewhere() -> None:
    without = plans.seal(_protocol(evaluation={"every": 0}))
    assert without.plan is not None
    assert SEALED.plan is not None
    assert without.plan.noise_multipliers[0] < SEALED.plan.noise_multipliers[0]


def test_the_events_of_a_round() -> None:
    assert list(plans.round_events(SEALED, 4)) == ["train"]
    events = plans.round_events(SEALED, 5)
    assert list(events) == ["train", "evaluate"]
    train, evaluate = events["train"], events["evaluate"]
    assert SEALED.plan is not None
    assert train.noise_multiplier == SEALED.plan.noise_multipliers[4]
    assert (train.sample_rate, train.steps, train.max_grad_norm) == (0.5, 4, 0.5)
    assert (evaluate.noise_multiplier, evaluate.sample_rate, evaluate.steps) == (5.0, 1.0, 1)
    assert train.unit == evaluate.unit == "patient"
    assert train.batch_denominator is None


def test_the_batch_denominator_is_a_public_constant() -> None:
    assert plans.batch_denominator(SEALED, "cleveland") == 150.0
    event = plans.round_events(SEALED, 1, "cleveland")["train"]
    assert event.batch_denominator == 150.0
    for act in (plans.batch_denominator, lambda p, i: plans.round_events(p, 1, i)):
        with pytest.raises(KeyError):
            act(SEALED, "elsewhere")


def test_a_noise_multiplier_follows_its_schedule() -> None:
    privacy = {"target_epsilon": None, "noise_multiplier": 2.0, "schedule": "harmonic"}
    sealed = plans.seal(_protocol(privacy=privacy, rounds={"count": 4}))
    assert sealed.plan is not None
    assert sealed.plan.noise_multipliers == pytest.approx([2.0, 8**0.5, 12**0.5, 4.0])
    assert float(sealed.plan.epsilon) == epsilon(plans.plan_events(sealed), 1e-3).epsilon


def test_the_budget_is_as_declared_else_the_target_else_the_plans() -> None:
    open_end = _protocol(privacy={"target_epsilon": None, "noise_multiplier": 20.0})
    with pytest.raises(NotSealed, match="once it is submitted"):
        plans.epsilon_budget(open_end, None)
    sealed = plans.seal(open_end)
    assert sealed.plan is not None
    assert plans.epsilon_budget(sealed, None) == float(sealed.plan.epsilon)
    assert plans.epsilon_budget(SEALED, None) == 1.0
    assert plans.epsilon_budget(_protocol(privacy={"epsilon_budget": 1.5}), None) == 1.5


def test_a_plan_so_noisy_that_it_costs_nothing_still_has_a_budget() -> None:
    silent = {"target_epsilon": None, "noise_multiplier": 1000.0, "target_delta": 1e-3}
    sealed = plans.seal(_protocol(privacy=silent, evaluation={"every": 0}))
    assert sealed.plan is not None
    assert float(sealed.plan.epsilon) < plans.epsilon_budget(sealed, None) == plans.LEAST_BUDGET


def test_sealing_is_repeatable_and_changes_nothing_but_the_plan() -> None:
    assert plans.seal(samples.protocol()) == SEALED
    assert plans.seal(SEALED) == SEALED
    assert plans.unsealed(SEALED) == samples.protocol()
    assert SEALED.digest != samples.protocol().digest
    assert Protocol.model_validate_json(SEALED.canonical()) == SEALED


def test_rounds_that_do_not_exist_and_unsealed_plans_are_refused() -> None:
    with pytest.raises(NotSealed, match="submit the study first"):
        plans.round_events(samples.protocol(), 1)
    for number in (0, 11, -1):
        with pytest.raises(ValueError, match=f"no round {number}; the study has 10"):
            plans.round_events(SEALED, number)


def test_what_cannot_be_planned_is_refused_with_its_key() -> None:
    with pytest.raises(NoPlan, match=r"^privacy\.target_epsilon: .* already cost epsilon"):
        plans.seal(_protocol(evaluation={"noise_multiplier": 0.5}))
    little = {"target_epsilon": None, "noise_multiplier": 1e-4}
    with pytest.raises(NoPlan, match=r"^privacy\.noise_multiplier: .*; add more noise"):
        plans.seal(_protocol(privacy=little))
