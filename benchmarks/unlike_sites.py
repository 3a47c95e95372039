"""What FedProx and SCAFFOLD do for two unlike sites, with noise: distance to the pooled optimum.

`python -m benchmarks.unlike_sites` takes about a minute. Two made-up sites: other patients (the
first feature is shifted) and opposite relations (its slope), logistic regression, 20 rounds of 20
steps. The pooled optimum is what the same steps reach on all rows together without noise.
"""

import sys

import numpy as np
import torch
from numpy.typing import NDArray

from federation.learning import control, strategies
from federation.learning.initial import initial_tensors
from federation.learning.training import prepare
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors

ROUNDS, STEPS, SEEDS = 20, 20, 3
NOISES = (0.0, 1.0, 3.0, 10.0)
WAYS = {
    "FedAvg": ("fedavg", 0.0),
    "FedProx, μ = 0.1": ("fedavg", 0.1),
    "FedProx, μ = 1": ("fedavg", 1.0),
    "SCAFFOLD": ("scaffold", 0.0),
}


def agreed(strategy: str, pull: float) -> Protocol:
    """The protocol of one way."""
    return Protocol.model_validate(
        {
            "name": "Unlike sites",
            "data": {
                "columns": [{"name": f"x{i}", "low": -1, "high": 1} for i in range(4)],
                "target": {"column": "y", "classes": [["0"], ["1"]]},
            },
            "model": {"architecture": "logistic"},
            "training": {
                "sample_rate": 0.5,
                "local_steps": STEPS,
                "learning_rate": 1.0,
                "max_grad_norm": 1.0,
                "proximal": pull,
            },
            "privacy": {"noise_multiplier": 1.0, "target_delta": 1e-5},
            "aggregation": {"strategy": strategy, "weights": "equal"},
            "rounds": {"count": ROUNDS},
        }
    )


def sites(rows: int) -> dict[str, Encoded]:
    """Two sites of so many rows."""
    random = np.random.default_rng(3)
    found = {}
    for site, slope, shift in (("a", 3.0, 1.5), ("b", -1.0, -1.0)):
        x = random.normal(size=(rows, 4)).astype(np.float32)
        x[:, 0] += shift
        chance = 1 / (1 + np.exp(-slope * x[:, 0] + x[:, 1]))
        y = (random.random(rows) < chance).astype(np.int64)
        found[site] = Encoded(x, y, np.arange(rows), rows)
    return found


def ends(protocol: Protocol, data: dict[str, Encoded], noise: float) -> NDArray[np.float32]:
    """The weights after all rounds, flat."""
    strategy = strategies.get(protocol.aggregation.strategy)
    given = strategy.begun(initial_tensors(protocol))
    owns = {site: control.parted(given)[1] for site in data}
    for _ in range(ROUNDS):
        model, everybodys = control.parted(given)
        updates: dict[str, Tensors] = {}
        for site, rows in data.items():
            correction = {name: array - owns[site][name] for name, array in everybodys.items()}
            session = prepare(protocol, model, rows, noise, 0.5 * rows.n_units, correction)
            for _ in range(STEPS):
                session.step()
            updates[site] = session.update()
            owns[site] = control.own(correction, updates[site])
        given = strategy.aggregate(given, updates, dict.fromkeys(data, 1.0))
    return np.concatenate([array.ravel() for array in strategy.model(given).values()])


def pooled(data: dict[str, Encoded]) -> Encoded:
    """All rows together."""
    count = sum(rows.n_units for rows in data.values())
    features = np.concatenate([rows.features for rows in data.values()])
    targets = np.concatenate([rows.targets for rows in data.values()])
    return Encoded(features, targets, np.arange(count), count)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    say = sys.stdout.write
    for rows in (200, 2000):
        data = sites(rows)
        best = ends(agreed("fedavg", 0.0), {"all": pooled(data)}, 0.0)
        noises = " | ".join(f"noise {noise:g}" for noise in NOISES)
        say(f"| {rows} rows a site | {noises} |\n|---|{'---|' * len(NOISES)}\n")
        for name, way in WAYS.items():
            cells = []
            for noise in NOISES:
                runs = [ends(agreed(*way), data, noise) - best for _ in range(SEEDS)]
                cells.append(f"{np.mean([np.linalg.norm(run) for run in runs]):.2f}")
            say(f"| {name} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
