"""Max pooling by slices: torch's own values and gradients."""

import pytest
import torch

from federation.learning.pooling import MaxPool2d

SHAPES = [(3, 2, 28, 28), (2, 4, 7, 7), (1, 3, 2, 9), (0, 1, 4, 4), (2, 2, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rounded", [False, True], ids=["different", "many equal"])
def test_values_and_gradients_are_torchs(shape, rounded):
    torch.manual_seed(2)
    x = torch.relu(torch.randn(*shape))
    x = (x.round() if rounded else x).requires_grad_()
    same = x.detach().clone().requires_grad_()
    ours, theirs = MaxPool2d(2)(x), torch.nn.MaxPool2d(2)(same)
    assert torch.equal(ours, theirs)
    gradient = torch.randn_like(ours)
    ours.backward(gradient)
    theirs.backward(gradient)
    assert torch.equal(x.grad, same.grad)


@pytest.mark.parametrize(
    "settings",
    [{"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 3}, {"kernel_size": (2, 2)}],
)
def test_other_pooling_is_left_to_torch(settings):
    x = torch.randn(2, 3, 9, 9)
    assert torch.equal(MaxPool2d(**settings)(x), torch.nn.MaxPool2d(**settings)(x))
