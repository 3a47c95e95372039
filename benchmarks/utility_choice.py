"""How the settings of the utility sets were chosen: by a fifth of the training units, never tests.

    python -m benchmarks.utility_choice flu_symptoms --models logistic --epsilon 1 8 inf

Every combination is trained (federated, site noise) on four fifths of each site's training units
and judged by the log loss of the last fifth, the mean over `--splits` random fifths. The best one
is printed; it was then written into the set's file by hand. In a study each trial on private data
would be charged.
"""

import argparse
import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from benchmarks import utility_sets
from benchmarks.simulation import run, together
from benchmarks.tables import show
from benchmarks.utility_sets import DataSet, Settings, Site, subset
from federation.learning.evaluation import predict
from federation.learning.metrics import from_scores

HEADS = ["model", "ε", "place", "rounds", "rate", "learning rate", "clip", "log loss", "AUC"]
SHOWN = 4


def main() -> None:
    """Print the best combinations of each model and ε."""
    options = _options()
    torch.set_num_threads(1)
    chosen = utility_sets.get(options.set)
    sites = chosen.load(options.data)
    rows = []
    for label, target in itertools.product(chosen.models, options.epsilon):
        if label.startswith(tuple(options.models)):
            rows += ranked(chosen, sites, (label, target), options)
    show(HEADS, rows, {"benchmark": "utility choice", "set": options.set, "rows": rows})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=utility_sets.names())
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", nargs="+", default=[""], help="beginnings of their names")
    parser.add_argument("--epsilon", type=float, nargs="+", default=[math.inf, 8.0, 1.0])
    parser.add_argument("--rounds", type=int, nargs="+", default=[15, 30, 60])
    parser.add_argument("--sample-rates", type=float, nargs="+", default=[0.25, 0.5])
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[0.5, 1, 2, 4, 8])
    parser.add_argument("--clips", type=float, nargs="+", default=[1.0])
    parser.add_argument("--splits", type=int, default=3)
    return parser.parse_args()


def ranked(
    chosen: DataSet, sites: Mapping[str, Site], case: tuple[str, float], options: Any
) -> list[list[str]]:
    """Rows of the table for the best few combinations."""
    label, target = case
    base = chosen.settings[label][target]
    grid = itertools.product(
        options.rounds, options.sample_rates, options.learning_rates, options.clips
    )
    found = []
    for rounds, rate, learning_rate, clip in grid:
        tried = replace(
            base, rounds=rounds, sample_rate=rate, learning_rate=learning_rate, max_grad_norm=clip
        )
        losses = [judged(chosen, sites, case, tried, seed) for seed in range(options.splits)]
        found.append((mean(loss for loss, _ in losses), mean(auc for _, auc in losses), tried))
    found.sort(key=lambda one: one[0])
    return [
        [label, str(target), str(place), *_shown(tried), f"{loss:.4f}", f"{auc:.4f}"]
        for place, (loss, auc, tried) in enumerate(found[:SHOWN], 1)
    ]


def _shown(tried: Settings) -> list[str]:
    numbers = (tried.rounds, tried.sample_rate, tried.learning_rate, tried.max_grad_norm)
    return [f"{number:g}" for number in numbers]


def judged(
    chosen: DataSet,
    sites: Mapping[str, Site],
    case: tuple[str, float],
    tried: Settings,
    seed: int,
) -> tuple[float, float]:
    """(log loss, AUC) on a random fifth of each site's training units."""
    random = np.random.default_rng(seed)
    trained, judges = {}, []
    for name, site in sites.items():
        order = random.permutation(site.train.n_units)
        fifth = max(1, len(order) // 5)
        trained[name] = subset(site.train, np.sort(order[fifth:]))
        judges.append(subset(site.train, np.sort(order[:fifth])))
    label, target = case
    cohort = {name: site.declared for name, site in sites.items()}
    protocol = chosen.protocol(label, tried, target, cohort, seed)
    done, test = run(protocol, trained, part=float(math.isfinite(target))), together(judges)
    scores = predict(protocol=protocol, tensors=done.model, features=test.features)
    metrics = from_scores(scores, test.targets)
    return metrics["log_loss"], metrics["auc"]


if __name__ == "__main__":
    main()
