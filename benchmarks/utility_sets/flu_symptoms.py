"""Flu or not, from ten symptoms of visitors who were tested for it.

The file names no institutions; its visits are dealt to three sites by a public coin. Positive is
any positive test (rapid or PCR, A or B) or "virus identified"; who was neither tested nor
diagnosed so is left out.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.utility_rows import Row, coin, dealt, sites
from benchmarks.utility_sets import DataSet, Settings, Site

LEVELS = {"None": "0", "Mild": "1", "Moderate": "2", "Severe": "3"}
ANSWERS = {"No": "0", "Yes": "1"}
GRADED = ["Weakness", "CoughIntensity", "Myalgia"]
ANSWERED = ["ChillsSweats", "SubjectiveFever", "Headache", "Sneeze", "RunnyNose", "Pharyngitis"]
TESTS = ["RapidFluA", "RapidFluB", "PCRFluA", "PCRFluB"]
DIAGNOSES = [f"DxName{n}" for n in range(1, 6)]
CONTRACT = {
    "columns": [
        {
            "name": "BodyTemp",
            "low": 94,
            "high": 107,
            "centre": 99.5,
            "spread": 1.5,
            "missing": 98.6,
        },
        *({"name": n, "low": 0, "high": 3, "centre": 1.5, "spread": 1} for n in GRADED),
        *({"name": n, "low": 0, "high": 1} for n in ANSWERED),
    ],
    "target": {"column": "flu", "classes": [["0"], ["1"]], "names": ["other", "influenza"]},
}
SHARES = {"clinic-a": 0.5, "clinic-b": 0.3, "clinic-c": 0.2}
TEST_SHARE = 0.3


def load(folder: Path) -> dict[str, Site]:
    """The three sites."""
    return sites(_tested(folder / "flu_symptoms" / "sympact_any_pos.csv"), CONTRACT, _place)


def _tested(file: Path) -> Iterator[Row]:
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            results = [row[name].strip() for name in TESTS if row[name].strip()]
            positive = any(_is_positive(result) for result in results)
            named = any(row[name] == "Influenza - Virus Identified" for name in DIAGNOSES)
            if results or named:
                yield _answers(row) | {"flu": str(int(positive or named))}


def _is_positive(result: str) -> bool:
    return result.startswith("Positive") or (
        result.endswith("Detected") and not result.endswith("Not Detected")
    )


def _answers(row: Row) -> dict[str, str]:
    return {
        "visit": row["Unique.Visit"],
        "BodyTemp": row["BodyTemp"],
        **{name: LEVELS[row[name]] for name in GRADED},
        **{name: ANSWERS[row[name]] for name in ANSWERED},
    }


def _place(row: Row) -> tuple[str, bool]:
    return dealt(row["visit"], SHARES), coin(row["visit"], "test") < TEST_SHARE


def _chosen(rounds: int, learning_rate: float) -> Settings:
    return Settings(rounds, learning_rate, sample_rate=0.5)


SET = DataSet(
    title="flu symptoms",
    delta=1e-3,
    contract=CONTRACT,
    load=load,
    models={
        "logistic": {"architecture": "logistic"},
        "MLP 10-32-1": {"architecture": "mlp", "parameters": {"hidden": [32]}},
    },
    settings={
        "logistic": {np.inf: _chosen(30, 0.25), 8.0: _chosen(30, 0.25), 1.0: _chosen(30, 0.125)},
        "MLP 10-32-1": {np.inf: _chosen(8, 0.5), 8.0: _chosen(15, 0.25), 1.0: _chosen(15, 0.25)},
    },
)
