"""Heart disease with shared noise: what it would gain, accounted by the rules of shared noise.

    python -m benchmarks.utility_shared [--runs 50] [--epsilon 1 0.3 0.1]

Accounted and simulated only: the sites' updates are added up here in the clear, with the noise that
each would add under secure aggregation, where the hub sees nothing but the sum. The study makes one
step a round, so each round is one secure sum. ε is the target against the hub and `colluding` sites
together; outsiders and a site whose secure aggregation failed pay less and more.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import torch

from accounting.dp.accountants import epsilon
from accounting.dp.shared_noise import Cohort, costs, on_grid, site_noise
from benchmarks import utility_sets
from benchmarks.demonstration import spread
from benchmarks.simulation import ACCOUNTANT, Outcome, run
from benchmarks.tables import show
from benchmarks.utility import judged
from federation.learning.initial import initial_tensors

HEADS = ["target ε", "noise", "accuracy", "AUC", "ε hub", "ε outsiders", "ε alone"]
CELL = 2.0**-16  # of the grid that secure sums are rounded to, in clips
COLLUDING = (0, 1)


def main() -> None:
    """Print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 0.3, 0.1])
    options = parser.parse_args()
    torch.set_num_threads(1)
    record = []
    for target in options.epsilon:
        for colluding in (None, *COLLUDING):
            record.append(compared(target, colluding, options.runs))
    show(HEADS, [_row(one) for one in record], {"benchmark": "shared noise", "cases": record})


def compared(target: float, colluding: int | None, runs: int) -> dict[str, Any]:
    """Accuracy and AUC of some runs, and what they cost; None: every site adds its full noise."""
    heart = utility_sets.get("heart_disease")
    sites = heart.load(Path())
    declared = {name: site.declared for name, site in sites.items()}
    rows = {name: site.train for name, site in sites.items()}
    cohort = None if colluding is None else Cohort(len(sites), colluding=colluding)
    found, costs_of_all = [], {}
    for seed in range(runs):
        settings = heart.settings["logistic"][1.0]
        protocol = heart.protocol("logistic", settings, target, declared, seed)
        size = sum(array.size for array in initial_tensors(protocol).values())
        done = run(protocol, rows, part=_part(cohort, size))
        found.append(judged(protocol, done.model, sites))
        costs_of_all = _spent(done, cohort, heart.delta, size)
    return {
        "epsilon": target,
        "colluding": colluding,
        "spent": costs_of_all,
        "runs": found,
    }


def _part(cohort: Cohort | None, size: int) -> float:
    """Of the plan's noise, what each site adds; rounding to the grid is made good."""
    return 1.0 if cohort is None else site_noise(1.0 + CELL * math.sqrt(size), cohort)


def _spent(done: Outcome, cohort: Cohort | None, delta: float, size: int) -> dict[str, float]:
    """ε towards the hub, towards outsiders, and alone: the dearest site's."""
    if cohort is None:
        spent = done.spent(delta)
        return {"hub": spent, "outsiders": spent, "alone": spent}
    lines = [
        [costs(on_grid(event, CELL, size), cohort) for event in events]
        for events in done.events.values()
    ]
    return {
        name: max(
            epsilon([getattr(c, name) for c in line], delta, ACCOUNTANT).epsilon for line in lines
        )
        for name in ("hub", "outsiders", "alone")
    }


def _row(case: dict[str, Any]) -> list[str]:
    shared = f"shared, {case['colluding']} with the hub"
    return [
        f"{case['epsilon']:g}",
        "each site's own" if case["colluding"] is None else shared,
        *(spread([one[key] for one in case["runs"]]) for key in ("accuracy", "auc")),
        *(f"{case['spent'][name]:.4f}" for name in ("hub", "outsiders", "alone")),
    ]


if __name__ == "__main__":
    main()
