"""Card fraud at four very uneven banks: 2, 5, 28 and 434 frauds.

Of the 312 frauds in the published test files 309 are also in the training files, so those tests
would praise a model for what it has seen. Here each distinct transaction of the training files is
kept once, at the first bank that has it, and a quarter of them is held out by a public coin.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.utility_rows import Row, coin, sites
from benchmarks.utility_sets import DataSet, Settings, Site

COMPONENTS = [f"V{n}" for n in range(1, 29)]
CONTRACT = {
    # Principal components of deviation 2 to 0.3, as their publishers say; frauds lie far out.
    "columns": [
        {"name": name, "low": -8, "high": 8, "centre": 0, "spread": 2, "outside": "clip"}
        for name in ["scaled_amount", *COMPONENTS]
    ],
    "target": {"column": "Class", "classes": [["0"], ["1"]], "names": ["paid", "fraud"]},
}
TEST_SHARE = 0.25


def load(folder: Path) -> dict[str, Site]:
    """The four banks."""
    return sites(_distinct(folder / "card_fraud"), CONTRACT, _place)


def _distinct(folder: Path) -> Iterator[Row]:
    seen = set()
    for bank in (1, 2, 3, 4):
        with (folder / f"node{bank}" / "SB19_CCFDUBL_TRAIN.csv").open(newline="") as lines:
            for row in csv.DictReader(lines):
                if (key := _key(row)) not in seen:
                    seen.add(key)
                    yield row | {"bank": f"bank-{bank}"}


def _key(row: Row) -> tuple[str, ...]:
    """What makes a transaction; amount and time were scaled by each bank for itself."""
    return tuple(f"{float(row[name]):.4f}" for name in COMPONENTS)


def _place(row: Row) -> tuple[str, bool]:
    return row["bank"], coin("|".join(_key(row)), "test") < TEST_SHARE


def _chosen(rounds: int, learning_rate: float) -> Settings:
    return Settings(rounds, learning_rate, sample_rate=0.25)


SET = DataSet(
    title="card fraud",
    delta=1e-5,
    contract=CONTRACT,
    load=load,
    models={
        "logistic": {"architecture": "logistic"},
        "MLP 29-16-1": {"architecture": "mlp", "parameters": {"hidden": [16]}},
    },
    settings={
        "logistic": {np.inf: _chosen(120, 16), 8.0: _chosen(120, 16), 1.0: _chosen(120, 8)},
        "MLP 29-16-1": {np.inf: _chosen(30, 8), 8.0: _chosen(60, 8), 1.0: _chosen(15, 8)},
    },
)
