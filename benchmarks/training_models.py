"""The models and the four ways to train them that `benchmarks.training` compares."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
    GradSampleModuleFastGradientClipping,
)
from opacus.layers import DPGRU, DPLSTM
from opacus.optimizers import DPOptimizer
from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping
from torch import nn

from federation.learning import architectures, engines
from federation.learning.initial import initial_tensors
from federation.learning.losses import Loss
from federation.learning.training import prepare
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol

Step = Callable[[], None]
RATE = 0.01  # of learning


class TheirLayers:
    """torch.nn, but with the LSTM and GRU of which Opacus can make gradients per row."""

    LSTM, GRU = DPLSTM, DPGRU

    def __getattr__(self, name: str) -> Any:
        return getattr(nn, name)


@dataclass(frozen=True)
class Model:
    """One of the product's architectures, what a row looks like, and how many classes there are."""

    architecture: str
    parameters: dict[str, Any]
    shape: tuple[int, ...]
    classes: int = 2

    @property
    def width(self) -> int:
        """Numbers in a row, which is stored flat."""
        return math.prod(self.shape)

    @property
    def outputs(self) -> int:
        """One logit for two classes."""
        return 1 if self.classes == 2 else self.classes

    def build(self, private: bool) -> nn.Module:
        """The module that a site would train, or the same for Opacus."""
        chosen = architectures.get(self.architecture)
        parameters = architectures.read(self.architecture, self.parameters)
        kinds = TheirLayers() if private else nn
        module: nn.Module = chosen.build(kinds, self.shape, self.outputs, parameters)
        return module

    def protocol(self, sample_rate: float, noise: str) -> Protocol:
        """A study of this model, its rows in one column of arrays."""
        column = {"name": "row", "kind": "array", "shape": list(self.shape)}
        classes = [[str(number)] for number in range(self.classes)]
        steps = {"local_steps": 1, "learning_rate": RATE, "max_grad_norm": 1.0}
        return Protocol.model_validate(
            {
                "name": self.architecture,
                "data": {"columns": [column], "target": {"column": "class", "classes": classes}},
                "model": {"architecture": self.architecture, "parameters": self.parameters},
                "training": {"sample_rate": sample_rate, "noise": noise, **steps},
                "privacy": {"noise_multiplier": 1.0, "target_delta": 1e-5},
                "rounds": {"count": 1},
            }
        )


RELU = {"activation": "relu"}
MODELS = {
    "MLP 10-32-1": Model("mlp", {"hidden": [32], **RELU}, (10,)),
    "MLP 100-50-10": Model("mlp", {"hidden": [50], **RELU}, (100,), 10),
    "LSTM 24-100x2": Model("lstm", {"hidden": 100, "layers": 2}, (24, 24)),
    "GRU 24-100x2": Model("gru", {"hidden": 100, "layers": 2}, (24, 24)),
    "CNN 28x28x3": Model("cnn", {"channels": [16, 32], "hidden": 64, **RELU}, (3, 28, 28), 7),
    "ResNet-18 64x64": Model("resnet18", {}, (3, 64, 64)),
}


def data(model: Model, rows: int) -> Encoded:
    """Random rows, flat as a site stores them, each a unit of its own."""
    random = np.random.default_rng(0)
    features = random.standard_normal((rows, model.width), dtype=np.float32)
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
    """A step of a site's own session, its batches, noise and all."""
    protocol = model.protocol(batch / rows.n_units, noise)
    session = prepare(protocol, initial_tensors(protocol), rows, 1.0, float(batch))
    reason = engines.get("bookkeeping").refuses(session.module, torch.zeros(2, model.width))
    assert reason is None, f"it fell back to Opacus: {reason}"
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
