"""Utility of the product's training on real data, by target ε: federated, local alone, pooled.

    python -m benchmarks.utility --data ../shared/data [--sets heart_disease] [--runs 5]

Federated: every site adds its full noise. Local: each site trains alone, and every test row is
judged by the model of its own site. Pooled: one party holds all rows. All at the same ε for each
row (or other unit) and with the same settings; ∞ is the same steps and clip without noise. The
spread is over runs, which differ by noise, samples and initial weights, on one fixed split.
"""

import argparse
import math
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from benchmarks import utility_sets
from benchmarks.demonstration import spread
from benchmarks.simulation import run, together
from benchmarks.tables import show
from benchmarks.utility_sets import DataSet, Site
from federation.learning.evaluation import predict
from federation.learning.metrics import from_scores
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol

WAYS = ("federated", "local", "pooled")
TARGETS = (math.inf, 8.0, 1.0)
HEADS = ["data", "model", "ε", "ε spent", "way", "accuracy", "balanced", "AUC"]
ALL = "all-sites"
Figures = dict[str, float]


def main() -> None:
    """Print the table and one line of JSON."""
    options = _options()
    torch.set_num_threads(1)
    rows, record = [], []
    for name in options.sets:
        chosen = utility_sets.get(name)
        try:
            sites = chosen.load(options.data)
        except FileNotFoundError as error:
            print(f"{name}: left out, {error.filename} is not there; name its folder with --data")
            continue
        print(f"{name}: {_sizes(sites)}")
        for case in cases(chosen, sites, options):
            record.append({"set": name, **case})
            rows.append(_row(chosen.title, case))
    show(HEADS, rows, {"benchmark": "utility", "cases": record})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="+", default=utility_sets.names())
    parser.add_argument("--models", nargs="+", default=[""], help="beginnings of their names")
    parser.add_argument("--epsilon", type=float, nargs="+", default=TARGETS)
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--runs", type=int, default=5)
    return parser.parse_args()


def cases(chosen: DataSet, sites: Mapping[str, Site], options: Any) -> list[dict[str, Any]]:
    """One for each model, ε and way: its runs' figures."""
    found = []
    for label in chosen.models:
        if not label.startswith(tuple(options.models)):
            continue
        for target in options.epsilon:
            for way in options.ways:
                began = time.process_time()
                runs = [
                    measured(chosen, sites, (label, target, way), n) for n in range(options.runs)
                ]
                seconds = time.process_time() - began
                case = {"model": label, "epsilon": target, "way": way}
                found.append(case | {"seconds": round(seconds, 1), "runs": runs})
    return found


def measured(
    chosen: DataSet, sites: Mapping[str, Site], case: tuple[str, float, str], seed: int
) -> Figures:
    """accuracy, balanced accuracy, auc and the ε that was spent, of one run of one way."""
    label, target, way = case
    settings = chosen.settings[label][target]
    cohort = {name: site.declared for name, site in sites.items()}
    if way == "pooled":
        cohort = {ALL: sum(cohort.values())}
    protocol = chosen.protocol(label, settings, target, cohort, seed)
    if way == "local":
        done = [
            outcome(protocol, {name: site.train}, [site.test], target)
            for name, site in sites.items()
        ]
    else:
        trained = {name: site.train for name, site in sites.items()}
        if way == "pooled":
            trained = {ALL: together(list(trained.values()))}
        done = [outcome(protocol, trained, [site.test for site in sites.values()], target)]
    return figures(*map(np.concatenate, zip(*((p, t) for p, t, _ in done), strict=True))) | {
        "spent": max(spent for _, _, spent in done)
    }


def outcome(
    protocol: Protocol, trained: Mapping[str, Encoded], tests: list[Encoded], target: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Probabilities and classes of the test rows, and the ε that training spent."""
    done = run(protocol, trained, private=math.isfinite(target))
    test = together(tests)
    probabilities = predict(protocol=protocol, tensors=done.model, features=test.features)
    return probabilities, test.targets, done.spent(protocol.privacy.target_delta)


def figures(probabilities: np.ndarray, targets: np.ndarray) -> Figures:
    """accuracy, balanced accuracy (the mean of both classes' recalls) and AUC."""
    metrics = from_scores(probabilities, targets)
    return {
        "accuracy": metrics["accuracy"],
        "balanced": mean([metrics["sensitivity"], metrics["specificity"]]),
        "auc": metrics["auc"],
    }


def _sizes(sites: Mapping[str, Site]) -> str:
    return ", ".join(
        f"{name} {site.train.n_units} units and {len(site.test.targets)} test rows"
        for name, site in sites.items()
    )


def _row(title: str, case: dict[str, Any]) -> list[str]:
    runs = case["runs"]
    target, spent = case["epsilon"], max(one["spent"] for one in runs)
    return [
        title,
        case["model"],
        "∞" if math.isinf(target) else f"{target:g}",
        "∞" if math.isinf(spent) else f"{spent:.4f}",
        case["way"],
        *(spread([one[key] for one in runs]) for key in ("accuracy", "balanced", "auc")),
    ]


if __name__ == "__main__":
    main()
