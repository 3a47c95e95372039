"""Our optimiser against Opacus' own on one model: the same clipped sum where both are right."""

import numpy as np
import pytest
import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer

from federation.learning import modules
from federation.learning.initial import initial_tensors
from federation.learning.losses import Loss
from tests.learning.builders import protocol, rows
from tests.learning.stepping import quiet_update

MODELS = [
    {"architecture": "logistic"},
    {"architecture": "mlp", "parameters": {"hidden": [16, 8], "activation": "tanh"}},
    {"architecture": "mlp", "parameters": {"hidden": [8], "activation": "relu"}},
]


def opacus_update(study, data, denominator):
    """One noiseless step of Opacus' optimiser on the whole data."""
    tensors = initial_tensors(study)
    module = modules.load(study, tensors)
    wrapped = GradSampleModule(module, loss_reduction="sum")
    optimizer = DPOptimizer(
        torch.optim.SGD(module.parameters(), lr=study.training.learning_rate),
        noise_multiplier=0.0,
        max_grad_norm=study.training.max_grad_norm,
        expected_batch_size=denominator,
    )
    logits = wrapped(torch.from_numpy(data.features).requires_grad_())
    weights = study.training.class_weights
    Loss.of(weights)(logits, torch.from_numpy(data.targets)).backward()
    optimizer.step()
    new = modules.weights(module)
    return np.concatenate([(new[name] - tensors[name]).ravel() for name in sorted(new)])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m["architecture"])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("clip", [0.05, 1.0, 100.0])
def test_the_clipped_sums_agree(model, classes, clip):
    study = protocol(
        model=model,
        classes=classes,
        sample_rate=1.0,
        max_grad_norm=clip,
        initialisation="seeded",
        class_weights=[1.0, 3.0, 2.0][:classes],
    )
    data = rows(64, classes=classes)
    ours = quiet_update(study, data, denominator=32)
    assert ours == pytest.approx(opacus_update(study, data, 32), rel=2e-4, abs=1e-7)
