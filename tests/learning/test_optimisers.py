"""The optimisers on a flat vector are torch's own on the same gradients."""

import numpy as np
import pytest
import torch
from torch import nn

from federation.learning.losses import Loss
from federation.learning.optimisers import Optimiser, flattened
from tests.learning.builders import protocol

THEIRS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.8),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.05),
}


@pytest.mark.parametrize("name", THEIRS)
def test_the_steps_are_torchs(name):
    training = protocol(optimiser=name, learning_rate=0.05, momentum=0.8).training
    weights = torch.randn(50)
    theirs = nn.Parameter(weights.double())
    ours, reference = Optimiser(weights, training), THEIRS[name]([theirs])
    for _ in range(20):
        gradient = torch.randn(50, dtype=torch.float64)
        theirs.grad = gradient.clone()
        ours.step(gradient)
        reference.step()
    assert weights.numpy() == pytest.approx(theirs.detach().numpy(), rel=1e-5, abs=1e-6)


def test_flattened_weights_are_the_modules():
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    before = [parameter.clone() for parameter in module.parameters()]
    flat = flattened(module)
    assert torch.equal(flat, torch.cat([parameter.flatten() for parameter in before]))
    flat.zero_()
    assert not any(parameter.any() for parameter in module.parameters())
    assert not module(torch.randn(4, 3)).any()


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_losses_slope_is_its_gradient(classes, weighted):
    count = max(2, classes)
    weights = np.linspace(0.5, 3.0, count).tolist() if weighted else None
    loss = Loss.of(weights)
    logits = (torch.randn(30, classes) * 5).requires_grad_()
    targets = torch.randint(0, count, (30,))
    (expected,) = torch.autograd.grad(loss(logits, targets), logits)
    found = loss.slope(logits.detach(), targets)
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-6)
