"""Seconds per round: 15 sites as real processes, from assignment to committed ledger.

MLP 10→32→1, 1000 rows a site, sample rate 0.064, 16 steps. The same work is done by Flower's
simulation in the same run when its environment is there:

    python -m venv var/peers && var/peers/bin/pip install -r benchmarks/requirements-peers.txt
    python -m benchmarks.rounds [--sites 15] [--rounds 12] [--peer var/peers/bin/python]
"""

import argparse
import csv
import itertools
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.tables import show

ROOT = Path(__file__).resolve().parent.parent
FEATURES, ROWS, STEPS, SAMPLE_RATE = 10, 1000, 16, 0.064
STUDY = """
[study]
name = "Benchmark"
[data]
{columns}
[data.target]
column = "y"
classes = [["0"], ["1"]]
[model]
architecture = "mlp"
[model.parameters]
hidden = [32]
[training]
sample_rate = {sample_rate}
local_steps = {steps}
learning_rate = 0.1
max_grad_norm = 1.0
initialisation = "seeded"
iterate_averaging = "none"
[privacy]
noise_multiplier = 1.0
target_delta = 1e-5
[rounds]
count = {rounds}
deadline_seconds = 300
"""
SITE = """
[[institution]]
name = "site{number:02d}"
data = "{number:02d}.csv"
cohort_size = 1000
[institution.limits]
lifetime_epsilon = 1000
lifetime_delta = 1e-5
max_epsilon_per_study = 1000
"""


def main() -> None:
    """Run ours, then the peer, and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--peer", type=Path, default=ROOT / "var" / "peers" / "bin" / "python")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours = measure(Path(folder), options.sites, options.rounds)
    peer = measure_peer(options.peer, options.sites, options.rounds)
    rows = [[name, f"{1000 * value:.0f} ms"] for name, value in ours.items()]
    if peer:
        rows.append(["Flower 1.41 simulation, the same work, per round", f"{1000 * peer:.0f} ms"])
        rows.append(["ratio Cloister / Flower simulation", f"{ours['round'] / peer:.2f}"])
    else:
        rows.append(["Flower 1.41 simulation", f"not installed in {options.peer}"])
    record = {"benchmark": "rounds", "sites": options.sites, "cores": os.cpu_count(), **ours}
    show(["median of the rounds after the second", ""], rows, record | {"flower": peer})


def write_study(folder: Path, sites: int, rounds: int) -> Path:
    """Write the study and made-up data for every site; returns the study file."""
    columns = "\n".join(
        f'[[data.column]]\nname = "x{i}"\nlow = -4\nhigh = 4\noutside = "clip"'
        for i in range(FEATURES)
    )
    text = STUDY.format(columns=columns, sample_rate=SAMPLE_RATE, steps=STEPS, rounds=rounds)
    source = np.random.default_rng(1)
    weights = source.normal(size=FEATURES)
    for number in range(sites):
        features = source.normal(size=(ROWS, FEATURES))
        with (folder / f"{number:02d}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*(f"x{i}" for i in range(FEATURES)), "y"])
            writer.writerows([*row.round(4), int(row @ weights > 0)] for row in features)
        text += SITE.format(number=number)
    path = folder / "study.toml"
    path.write_text(text)
    return path


def measure(folder: Path, sites: int, rounds: int) -> dict[str, float]:
    """Medians in seconds of a round and of its parts, read from the hub's own rows."""
    study = write_study(folder, sites, rounds)
    command = [sys.executable, "manage.py", "simulate", str(study), "--folder", str(folder / "run")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(result.stdout + result.stderr)
    database = sqlite3.connect(folder / "run" / "hub" / "hub.sqlite3")
    parts = [_parts(database, *row) for row in database.execute(_ROUNDS)][2:]
    names = ("round", "opened to first taken", "first taken to last answered", "closing")
    return {name: median(part[i] for part in parts) for i, name in enumerate(names)}


_ROUNDS = (
    "select id, opened_at, closed_at from federation_round where closed_at not null order by number"
)


def _parts(database: sqlite3.Connection, row: int, opened: str, closed: str) -> list[float]:
    query = "select min(taken_at), max(answered_at) from federation_assignment where round_id = ?"
    taken, answered = database.execute(query, (row,)).fetchone()
    times = [datetime.fromisoformat(text) for text in (opened, taken, answered, closed)]
    spans = itertools.pairwise(times)
    return [(times[-1] - times[0]).total_seconds(), *((b - a).total_seconds() for a, b in spans)]


def measure_peer(python: Path, sites: int, rounds: int) -> float | None:
    """Seconds per round of Flower's simulation on the same work; None when it is not installed."""
    if not python.exists():
        return None
    command = [
        str(python),
        str(ROOT / "benchmarks/peers/flower_rounds.py"),
        str(sites),
        str(rounds),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(result.stdout.strip().splitlines()[-1])["seconds_per_round"])


if __name__ == "__main__":
    main()
