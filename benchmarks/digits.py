"""Ours beside Opacus' own engine on handwritten digits, at the same settings: is it one mechanism?

    python -m benchmarks.digits [--runs 10] [--noise 0.7 1.1 1.3 5 10] [--models MLP CNN]

Opacus samples, clips, noises and steps by itself (PrivacyEngine, its own sampler and optimiser); we
do with ours. The digits are the 1797 of 8 × 8 pixels that scikit-learn ships; the published figures
for MNIST (97.1 % at noise 0.7 and so on) cannot be repeated without MNIST itself. Noise 5 and 10
are here because there a wrong scale of noise would show in the accuracy.
"""

import argparse
import time
import warnings
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from opacus import PrivacyEngine
from scipy import stats
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from accounting.dp.accountants import epsilon
from accounting.dp.events import Mechanism, PrivacyEvent
from benchmarks.tables import show
from federation.learning import modules, training
from federation.learning.evaluation import predict
from federation.learning.initial import initial_tensors
from federation.learning.metrics import from_scores
from federation.protocol.cells import Arrays, Numbers
from federation.protocol.contract import Encoded, encode
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors

TRAIN, BATCH, STEPS, RATE = 1440, 144, 200, 0.1
LEARNING_RATE, CLIP, DELTA = 1.0, 1.0, 1e-4
MODELS: dict[str, dict[str, Any]] = {
    "MLP 64-32-10": {"architecture": "mlp", "parameters": {"hidden": [32]}},
    "CNN 8-16": {"architecture": "cnn", "parameters": {"channels": [8, 16], "hidden": 32}},
}
HEADS = ["model", "noise", "ε (pld)", "ours", "Opacus", "difference", "standard error", "p"]


@dataclass(frozen=True)
class Task:
    """One comparison: what both engines are given."""

    protocol: Protocol
    noise: float
    train: Encoded
    test: Encoded

    def accuracy(self, model: Tensors) -> float:
        """On the test rows."""
        scores = predict(protocol=self.protocol, tensors=model, features=self.test.features)
        return float(from_scores(scores, self.test.targets)["accuracy"])


def main() -> None:
    """Print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.7, 1.1, 1.3, 5.0, 10.0])
    parser.add_argument("--models", nargs="+", default=[""], help="beginnings of their names")
    options = parser.parse_args()
    torch.set_num_threads(1)
    record = [
        compared(label, noise, options.runs)
        for label in MODELS
        if label.startswith(tuple(options.models))
        for noise in options.noise
    ]
    show(HEADS, [_row(one) for one in record], {"benchmark": "digits", "cases": record})


def compared(label: str, noise: float, runs: int) -> dict[str, Any]:
    """Accuracies of both engines, run by run from the same initial weights."""
    found: dict[str, list[float]] = {"ours": [], "opacus": []}
    began, seconds = time.process_time(), {"ours": 0.0, "opacus": 0.0}
    for seed in range(runs):
        task = Task(protocol(label, seed), noise, *digits())
        for name, train in (("ours", ours), ("opacus", opacus)):
            began = time.process_time()
            model = train(task)
            seconds[name] += time.process_time() - began
            found[name].append(task.accuracy(model))
    event = PrivacyEvent(Mechanism.POISSON_GAUSSIAN, noise, RATE, STEPS)
    spent = epsilon([event], DELTA).epsilon
    return {"model": label, "noise": noise, "epsilon": spent, "seconds": seconds, **found}


def protocol(label: str, seed: int) -> Protocol:
    """The study that our engine runs: one round of all steps."""
    column = {"name": "image", "kind": "array", "shape": [1, 8, 8], "low": 0, "high": 16}
    return Protocol(
        name="digits",
        data={
            "columns": [column],
            "target": {"column": "digit", "classes": [[str(n)] for n in range(10)]},
        },
        model=MODELS[label],
        training={
            "sample_rate": RATE,
            "local_steps": STEPS,
            "learning_rate": LEARNING_RATE,
            "max_grad_norm": CLIP,
            "initialisation": "seeded",
            "seed": seed,
        },
        privacy={"noise_multiplier": 1.0, "target_delta": DELTA},
        rounds={"count": 1},
    )


def digits() -> tuple[Encoded, Encoded]:
    """1440 digits to train on, 357 to test on, in a fixed random order."""
    images, targets = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(targets))
    contract = protocol(next(iter(MODELS)), 0).data
    parts = []
    for rows in (order[:TRAIN], order[TRAIN:]):
        classes = Numbers(targets[rows].astype(np.float64), np.zeros(len(rows), dtype=bool))
        columns = {"image": Arrays(images[rows]), "digit": classes}
        parts.append(encode(columns, contract, keyed_order=None))
    return parts[0], parts[1]


def ours(task: Task) -> Tensors:
    """The weights after our engine's steps."""
    start = initial_tensors(task.protocol)
    update = training.train(
        protocol=task.protocol,
        tensors=start,
        data=task.train,
        noise_multiplier=task.noise,
        batch_denominator=float(BATCH),
        step_done=lambda _: None,
    ).tensors
    return {name: start[name] + update[name] for name in start}


def opacus(task: Task) -> Tensors:
    """The weights after Opacus' steps, from the same initial ones."""
    module = modules.load(task.protocol, initial_tensors(task.protocol))
    rows = TensorDataset(
        torch.from_numpy(task.train.features), torch.from_numpy(task.train.targets)
    )
    with warnings.catch_warnings():
        # Of its generator, which is no secret one, and of hooks on a first layer.
        warnings.simplefilter("ignore")
        wrapped, optimiser, batches = PrivacyEngine().make_private(
            module=module,
            optimizer=torch.optim.SGD(module.parameters(), lr=LEARNING_RATE),
            data_loader=DataLoader(rows, batch_size=BATCH),
            noise_multiplier=task.noise,
            max_grad_norm=CLIP,
        )
        for _ in range(STEPS // len(batches)):
            for features, targets in batches:
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(wrapped(features), targets).backward()
                optimiser.step()
    return modules.weights(module)


def _row(case: dict[str, Any]) -> list[str]:
    mine, theirs = case["ours"], case["opacus"]
    # Runs have their own noise and samples, and initial weights in common: they are paired.
    apart = [one - other for one, other in zip(mine, theirs, strict=True)]
    return [
        case["model"],
        f"{case['noise']:g}",
        f"{case['epsilon']:.2f}",
        *(f"{mean(values):.4f} ± {stdev(values):.4f}" for values in (mine, theirs)),
        f"{mean(apart):+.4f}",
        f"{stdev(apart) / len(apart) ** 0.5:.4f}",
        f"{stats.ttest_rel(mine, theirs).pvalue:.2f}",
    ]


if __name__ == "__main__":
    main()
