"""The models and the four ways to train them that `benchmarks.training` compares."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
    GradSampleModuleFastGradientClipping,
)
from opacus.layers import DPLSTM
from opacus.optimizers import DPOptimizer
from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping
from torch import nn
from torch.nn import functional

from federation.learning import engines, grades
from federation.learning.losses import Loss
from federation.learning.noise import Keystream
from federation.learning.optimisers import Optimiser, flattened
from federation.learning.training import Session
from federation.learning.units import UnitRows
from federation.protocol.contract import Encoded
from federation.protocol.document import Training

Step = Callable[[], None]
RATE = 0.01  # of learning


class Recurrent(nn.Module):
    """LSTM 24-100×2 over 24 steps, two classes; Opacus needs a layer of its own for it."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.layer = kind(24, 100, num_layers=2, batch_first=True)
        self.head = nn.Linear(100, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits from the last output."""
        return self.head(self.layer(x)[0][:, -1])


class Block(nn.Module):
    """Two convolutions with GroupNorm around a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(16, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(16, outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False),
                nn.GroupNorm(16, outputs),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        y = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(y)) + self.shortcut(x))


def mlp(*sizes: int) -> nn.Module:
    """Linear and ReLU in turn."""
    layers: list[nn.Module] = [nn.Linear(sizes[0], sizes[1])]
    for before, after in pairwise(sizes[1:]):
        layers += [nn.ReLU(), nn.Linear(before, after)]
    return nn.Sequential(*layers)


def cnn() -> nn.Module:
    """Two convolutions and two Linear layers on 28×28×3, seven classes."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 49, 64),
        nn.ReLU(),
        nn.Linear(64, 7),
    )


def resnet() -> nn.Module:
    """ResNet-18 with GroupNorm, two classes."""
    stem = [nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.GroupNorm(16, 64)]
    blocks, inputs = [], 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
        inputs = outputs
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 2)]
    return nn.Sequential(*stem, nn.ReLU(), nn.MaxPool2d(3, 2, 1), *blocks, *head)


@dataclass(frozen=True)
class Model:
    """How to make it (for Opacus or not), what a row looks like, how many outputs and classes."""

    build: Callable[[bool], nn.Module]
    shape: tuple[int, ...]
    outputs: int

    @property
    def classes(self) -> int:
        """Two for one logit."""
        return max(2, self.outputs)


MODELS = {
    "MLP 10-32-1": Model(lambda private: mlp(10, 32, 1), (10,), 1),
    "MLP 100-50-10": Model(lambda private: mlp(100, 50, 10), (100,), 10),
    "LSTM 24-100x2": Model(lambda private: Recurrent(DPLSTM if private else nn.LSTM), (24, 24), 2),
    "CNN 28x28x3": Model(lambda private: cnn(), (3, 28, 28), 7),
    "ResNet-18 64x64": Model(lambda private: resnet(), (3, 64, 64), 2),
}


def data(model: Model, rows: int) -> Encoded:
    """Random rows, each a unit of its own."""
    random = np.random.default_rng(0)
    features = random.standard_normal((rows, *model.shape), dtype=np.float32)
    return Encoded(features, random.integers(0, model.classes, rows), np.arange(rows), rows)


def plain(model: Model, rows: Encoded, batch: int) -> Step:
    """Without privacy: a uniform batch, autograd, SGD."""
    module = model.build(False)
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    features, targets, loss = (
        torch.from_numpy(rows.features),
        torch.from_numpy(rows.targets),
        Loss(),
    )

    def step() -> None:
        chosen = torch.randint(0, rows.n_units, (batch,))
        optimizer.zero_grad()
        (loss(module(features[chosen]), targets[chosen]) / batch).backward()
        optimizer.step()

    return step


def hooks(model: Model, rows: Encoded, batch: int) -> Step:
    """Opacus with a gradient per row."""
    module = GradSampleModule(model.build(True), loss_reduction="sum")
    optimizer = _private(DPOptimizer, module, batch)
    features, targets, loss = (
        torch.from_numpy(rows.features),
        torch.from_numpy(rows.targets),
        Loss(),
    )

    def step() -> None:
        chosen = _mask(rows.n_units, batch)
        optimizer.zero_grad()
        loss(module(features[chosen]), targets[chosen]).backward()
        optimizer.step()

    return step


def ghost(model: Model, rows: Encoded, batch: int) -> Step:
    """Opacus' ghost clipping: two backward passes."""
    module = GradSampleModuleFastGradientClipping(
        model.build(True), max_grad_norm=1.0, use_ghost_clipping=True, loss_reduction="sum"
    )
    optimizer = _private(DPOptimizerFastGradientClipping, module, batch)
    features, targets = torch.from_numpy(rows.features), torch.from_numpy(rows.targets)
    binary = model.outputs == 1
    criterion: nn.Module = nn.BCEWithLogitsLoss() if binary else nn.CrossEntropyLoss()
    criterion.reduction = "sum"
    loss = DPLossFastGradientClipping(module, optimizer, criterion, "sum")

    def step() -> None:
        chosen = _mask(rows.n_units, batch)
        optimizer.zero_grad()
        wanted = targets[chosen].float()[:, None] if binary else targets[chosen]
        loss(module(features[chosen]), wanted).backward()
        optimizer.step()

    return step


def ours(model: Model, rows: Encoded, batch: int, noise: str = "float") -> Step:
    """A step of our own session, its batches, noise and all."""
    module = model.build(False)
    flat = flattened(module)
    example = torch.zeros(2, *model.shape)
    engine = engines.chosen("bookkeeping", module, example)
    assert engine.name == "bookkeeping", "it fell back to Opacus"
    gradients = engine.gradients(module, Loss(), example)
    training = Training(
        sample_rate=batch / rows.n_units, local_steps=1, learning_rate=RATE, max_grad_norm=1.0
    )
    session = Session(
        module=module,
        sum=grades.get(noise).sum(gradients, len(flat), 1.0),
        optimiser=Optimiser(flat, training),
        rows=UnitRows.of(rows, grouped=False),
        start={},
        sample_rate=training.sample_rate,
        noise_multiplier=1.0,
        batch_denominator=float(batch),
        device=torch.device("cpu"),
        sampling=Keystream(),
    )
    return session.step


def hardened(model: Model, rows: Encoded, batch: int) -> Step:
    """Ours, with exact noise on the integer grid."""
    return ours(model, rows, batch, "hardened")


WAYS: dict[str, Callable[[Model, Encoded, int], Step]] = {
    "plain": plain,
    "hooks": hooks,
    "ghost": ghost,
    "ours": ours,
    "hardened": hardened,
}


def _private(kind: Any, module: nn.Module, batch: int) -> Any:
    return kind(
        torch.optim.SGD(module.parameters(), lr=RATE),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        expected_batch_size=batch,
        loss_reduction="sum",
    )


def _mask(count: int, batch: int) -> torch.Tensor:
    """As Opacus samples: a coin for every row there is."""
    return (torch.rand(count) < batch / count).nonzero().flatten()
