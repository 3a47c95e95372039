"""The demonstration study run several times: utility and its spread at ε = 1 and ε = 0.1.

python -m benchmarks.demonstration [--runs 5] [--epsilon 1 0.1]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.tables import show

ROOT = Path(__file__).resolve().parent.parent
STUDY = ROOT / "demo" / "heart_disease" / "study.toml"
HEADS = ["target ε", "runs", "accuracy", "AUC", "seconds", "ε spent (worst site)", "ledgers ok"]


def main() -> None:
    """Run the study as `make demo-once` does, in a fresh installation each time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epsilon", type=float, nargs="+", default=[1.0, 0.1])
    options = parser.parse_args()
    found = {str(e): [run(e) for _ in range(options.runs)] for e in options.epsilon}
    rows = [row(epsilon, runs) for epsilon, runs in found.items()]
    show(HEADS, rows, {"benchmark": "demonstration", "runs": found})


def run(epsilon: float) -> dict[str, Any]:
    """One run's summary, less what does not vary."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        command = [sys.executable, "manage.py", "simulate", str(STUDY), "--epsilon", str(epsilon)]
        subprocess.run(
            [*command, "--json", str(summary)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
        told = json.loads(summary.read_text())
    kept = ("accuracy", "auc", "seconds", "ledger_ok")
    return {key: told[key] for key in kept} | {"epsilon": max(told["epsilon"].values())}


def row(epsilon: str, runs: list[dict[str, Any]]) -> list[str]:
    """Means with the spread over the runs."""
    return [
        epsilon,
        str(len(runs)),
        spread([one["accuracy"] for one in runs]),
        spread([one["auc"] for one in runs]),
        spread([one["seconds"] for one in runs], 1),
        f"{max(one['epsilon'] for one in runs):.5f}",
        f"{sum(one['ledger_ok'] for one in runs)}/{len(runs)}",
    ]


def spread(values: list[float], places: int = 3) -> str:
    """Mean ± standard deviation (lowest … highest)."""
    deviation = stdev(values) if len(values) > 1 else 0.0
    return (
        f"{mean(values):.{places}f} ± {deviation:.{places}f} "
        f"({min(values):.{places}f} … {max(values):.{places}f})"
    )


if __name__ == "__main__":
    main()
