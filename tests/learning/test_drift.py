"""FedProx: each noised gradient is joined by the pull towards the round's model, and by nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federation.learning.canaries import _step_weights
from federation.learning.drift import Drift
from federation.learning.optimisers import Optimiser
from tests.learning.builders import protocol, rows
from tests.learning.stepping import quiet_update

numbers = st.floats(-10, 10)
pulls = st.floats(0, 1)
optimisers = st.sampled_from(["sgd", "momentum"])


def moved(training, gradients):
    """How far weights that began at 3 have come after steps with these noised gradients."""
    weights = torch.full((1,), 3.0, dtype=torch.float64)
    optimiser, drift = Optimiser(weights, training), Drift.of(weights, training.proximal)
    for gradient in gradients:
        optimiser.step(drift.corrected(torch.tensor([gradient], dtype=torch.float64)))
    return weights.item() - 3.0


@given(st.lists(numbers, min_size=1, max_size=8), pulls)
def test_the_steps_are_those_of_the_proximal_objective(gradients, pull):
    """Gradient descent on f(w) + μ/2·|w − w₀|² in closed form, w₀ the round's model."""
    rate = 0.5
    training = protocol(learning_rate=rate, proximal=pull).training
    left = np.arange(len(gradients))[::-1]
    expected = -rate * np.sum((1 - rate * pull) ** left * np.array(gradients))
    assert moved(training, gradients) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.lists(numbers, min_size=1, max_size=8), optimisers)
def test_no_pull_changes_no_bit(gradients, optimiser):
    training = protocol(optimiser=optimiser).training
    weights = torch.full((1,), 3.0, dtype=torch.float64)
    plain = Optimiser(weights, training)
    for gradient in gradients:
        plain.step(torch.tensor([gradient], dtype=torch.float64))
    assert moved(training, gradients) == weights.item() - 3.0


@given(st.integers(1, 30), st.floats(0, 2), st.floats(0, 0.99), optimisers)
def test_a_pull_never_carries_further(steps, pull, kept, optimiser):
    """One push alone, at any age, moves at most as far as without: the bounds on updates hold."""
    settings = {"optimiser": optimiser, "momentum": kept, "learning_rate": 0.5}
    push = [1.0] + [0.0] * (steps - 1)
    without = abs(moved(protocol(**settings).training, push))
    assert abs(moved(protocol(**settings, proximal=pull).training, push)) <= without * (1 + 1e-9)


@given(st.integers(1, 12), pulls, optimisers)
def test_an_audit_knows_how_much_each_step_counts(steps, pull, optimiser):
    study = protocol(optimiser=optimiser, local_steps=steps, proximal=pull, learning_rate=0.5)
    pushes = np.eye(steps)
    seen = [-moved(study.training, list(push)) / 0.5 for push in pushes]
    assert _step_weights(study) == pytest.approx(seen, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum"])
def test_a_stronger_pull_ends_nearer_to_the_rounds_model(optimiser):
    data = rows(60)
    data.targets[:] = data.features[:, 0] > 0
    settings = {"sample_rate": 1.0, "learning_rate": 0.1, "optimiser": optimiser}
    distance = [
        np.linalg.norm(
            quiet_update(protocol(**settings, proximal=pull), data, denominator=60.0, steps=40)
        )
        for pull in (0.0, 0.1, 1.0)
    ]
    assert distance[0] > distance[1] > distance[2] > 0
