"""Utility of the product's training on real data, by target ε: federated, local alone, pooled.

    python -m benchmarks.utility --data ../shared/data [--sets heart_disease] [--runs 5]

Federated: every site adds its full noise. Local: each site trains alone; "own rows" judges every
test row by the model of its own site, "all rows" is the mean over the sites' models of their
figures on everybody's test rows. Pooled: one party holds all rows. All at the same ε for each row
(or other unit) and with the same settings; ∞ is the same kind of steps and clip without noise.
Ordinary: pooled, Adam without clip, untuned. The spread is over runs, which differ by noise, sample
and initial weights, on one fixed split.
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
from benchmarks.simulation import ordinary, run, together
from benchmarks.tables import show
from benchmarks.utility_sets import DataSet, Site
from federation.learning.evaluation import predict
from federation.learning.metrics import from_scores
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors

TARGETS = (math.inf, 8.0, 1.0)
WAYS = ("federated", "local", "pooled", "ordinary")
HEADS = ["data", "model", "ε", "ε spent", "way", "accuracy", "balanced", "AUC"]
ALL = "all-sites"
Figures = dict[str, float]
Sites = Mapping[str, Site]


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
        print(f"{name}: {_sizes(sites)}", flush=True)
        for case in [*rules(chosen, sites), *cases(chosen, sites, options)]:
            record.append({"set": name, **_finite(case)})
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


def rules(chosen: DataSet, sites: Sites) -> list[dict[str, Any]]:
    """What needs no training: the larger class, and the set's own rules."""
    test = together([site.test for site in sites.values()])
    train = together([site.train for site in sites.values()])
    larger = np.full(len(test.targets), float(train.targets.mean() >= 0.5))
    scores = {"the larger class": larger}
    scores |= {name: rule(test) for name, rule in chosen.rules.items()}
    return [
        {"model": name, "epsilon": None, "way": "", "runs": [figures(_two(found), test.targets)]}
        for name, found in scores.items()
    ]


def _two(scores: np.ndarray) -> np.ndarray:
    return np.stack([1 - scores, scores], axis=1)


def cases(chosen: DataSet, sites: Sites, options: Any) -> list[dict[str, Any]]:
    """One for each model, ε and way: its runs' figures."""
    found = []
    for label in chosen.models:
        if not label.startswith(tuple(options.models)):
            continue
        for target in options.epsilon:
            for way in options.ways:
                if way != "ordinary" or math.isinf(target):
                    found += _case(chosen, sites, (label, target, way), options.runs)
    return found


def _case(
    chosen: DataSet, sites: Sites, case: tuple[str, float, str], runs: int
) -> list[dict[str, Any]]:
    """The runs of one way; of "local" there are two views."""
    label, target, _ = case
    began = time.process_time()
    found = [measured(chosen, sites, case, seed) for seed in range(runs)]
    seconds = round(time.process_time() - began, 1)
    common = {"model": label, "epsilon": target, "seconds": seconds}
    done = [common | {"way": view, "runs": [one[view] for one in found]} for view in found[0]]
    for one in done:
        print("  ".join([f"{seconds} s", *_row("", one)]), flush=True)
    return done


def measured(
    chosen: DataSet, sites: Sites, case: tuple[str, float, str], seed: int
) -> dict[str, Figures]:
    """By view: accuracy, balanced accuracy, auc and the ε that was spent, of one run."""
    label, target, way = case
    cohort = {name: site.declared for name, site in sites.items()}
    if way in ("pooled", "ordinary"):
        cohort = {ALL: sum(cohort.values())}
    protocol = chosen.protocol(label, chosen.settings[label][target], target, cohort, seed)
    rows = {name: site.train for name, site in sites.items()}
    if way in ("pooled", "ordinary"):
        rows = {ALL: together(list(rows.values()))}
    if way == "ordinary":
        return {way: judged(protocol, ordinary(protocol, rows[ALL]), sites) | {"spent": math.inf}}
    part = 1.0 if math.isfinite(target) else 0.0
    if way == "local":
        return local(protocol, sites, part)
    done = run(protocol, rows, part=part)
    return {way: judged(protocol, done.model, sites) | {"spent": done.spent(chosen.delta)}}


def local(protocol: Protocol, sites: Sites, part: float) -> dict[str, Figures]:
    """Each site alone, seen by its own test rows and by all."""
    delta = protocol.privacy.target_delta
    done = {name: run(protocol, {name: site.train}, part=part) for name, site in sites.items()}
    spent = {"spent": max(one.spent(delta) for one in done.values())}
    own = [scored(protocol, done[name].model, site.test) for name, site in sites.items()]
    targets = np.concatenate([site.test.targets for site in sites.values()])
    each = [judged(protocol, one.model, sites) for one in done.values()]
    means = {key: mean(one[key] for one in each) for key in each[0]}
    return {
        "local, own rows": figures(np.concatenate(own), targets) | spent,
        "local, all rows": means | spent,
    }


def judged(protocol: Protocol, model: Tensors, sites: Sites) -> Figures:
    """The figures of one model on everybody's test rows."""
    test = together([site.test for site in sites.values()])
    return figures(scored(protocol, model, test), test.targets)


def scored(protocol: Protocol, model: Tensors, test: Encoded) -> np.ndarray:
    """float64 [rows, classes]."""
    return predict(protocol=protocol, tensors=model, features=test.features)


def figures(probabilities: np.ndarray, targets: np.ndarray) -> Figures:
    """accuracy, balanced accuracy (the mean of both classes' recalls) and AUC."""
    metrics = from_scores(probabilities, targets)
    return {
        "accuracy": metrics["accuracy"],
        "balanced": mean([metrics["sensitivity"], metrics["specificity"]]),
        "auc": metrics["auc"],
    }


def _sizes(sites: Sites) -> str:
    return ", ".join(
        f"{name} {site.train.n_units} units and {len(site.test.targets)} test rows"
        for name, site in sites.items()
    )


def _row(title: str, case: dict[str, Any]) -> list[str]:
    runs, target = case["runs"], case["epsilon"]
    spent = max(one.get("spent", 0.0) for one in runs)
    return [
        title,
        case["model"],
        "" if target is None else _epsilon(target, "g"),
        "" if target is None else _epsilon(spent, ".4f"),
        case["way"],
        *(spread([one[key] for one in runs]) for key in ("accuracy", "balanced", "auc")),
    ]


def _finite(found: Any) -> Any:
    """The same with "inf" as a text: JSON has no infinity."""
    if isinstance(found, dict):
        return {key: _finite(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_finite(value) for value in found]
    return "inf" if found == math.inf else found


def _epsilon(value: float, form: str) -> str:
    return "∞" if math.isinf(value) else f"{value:{form}}"


if __name__ == "__main__":
    main()
