"""Patients of several rows: what they cost and how far one moves a step, by what is clipped.

    python -m benchmarks.patients [--rows 1 2 5 10]

Cost at noise 1.1, sample rate 0.01, 1000 steps, δ = 1e-5, by the accountant named in the table, of
one patient added or removed. Movement is measured: the norm by which a patient of k equal rows
moves a noiseless step of the product's engine, in clips.
"""

import argparse

import numpy as np

from accounting.dp.accountants import epsilon
from accounting.dp.events import Mechanism, PrivacyEvent
from benchmarks.tables import show
from federation.learning.initial import initial_tensors
from federation.learning.training import prepare
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol

NOISE, RATE, STEPS, DELTA, CLIP = 1.1, 0.01, 1000, 1e-5, 0.1
HEADS = ["rows", "clipped", "ε, pld", "lower end", "ε, rdp", "moves a step by, in clips"]


def main() -> None:
    """Print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 5, 10])
    rows = [row(count, unit) for unit in ("row", "patient") for count in parser.parse_args().rows]
    show(HEADS, rows, {"benchmark": "patients", "rows": rows})


def row(count: int, unit: str) -> list[str]:
    """One line of the table."""
    exact, bound = (epsilon([event(count, unit)], DELTA, name) for name in ("pld", "rdp"))
    return [
        str(count),
        f"each {unit}",
        f"{exact.epsilon:.2f}",
        f"{exact.low:.2f}",
        f"{bound.epsilon:.2f}",
        f"{moved(count, unit):.3f}",
    ]


def event(count: int, unit: str) -> PrivacyEvent:
    """What training costs a patient of `count` rows: clipped rows add up, a clipped sum is one."""
    one_by_one = count if unit == "row" else 1
    kind = Mechanism.POISSON_GAUSSIAN
    return PrivacyEvent(kind, NOISE, RATE, STEPS, unit="patient", rows_per_unit=one_by_one)


def moved(count: int, unit: str) -> float:
    """The norm of a noiseless step on one patient's rows alone, over the clip."""
    protocol = study(unit)
    features = np.full((count, 4), 0.5, dtype=np.float32)
    grouped = unit == "patient"
    units = np.zeros(count, dtype=np.int64) if grouped else np.arange(count)
    data = Encoded(features, np.ones(count, dtype=np.int64), units, 1 if grouped else count)
    session = prepare(protocol, initial_tensors(protocol), data, 0.0, 1.0)
    session.step()
    norm = np.sqrt(sum(float((update**2).sum()) for update in session.update().values()))
    return float(norm) / CLIP


def study(unit: str) -> Protocol:
    """Four numbers, two classes; every row or patient takes part in the step that is looked at."""
    patients = {"patient_column": "who", "max_rows_per_patient": 1000}
    return Protocol(
        name="patients",
        data={
            "unit": unit,
            "columns": [{"name": f"x{n}", "low": -1, "high": 1} for n in range(4)],
            "target": {"column": "y", "classes": [["0"], ["1"]]},
            **(patients if unit == "patient" else {}),
        },
        model={"architecture": "logistic"},
        training={
            "sample_rate": 1.0,
            "local_steps": 1,
            "learning_rate": 1.0,
            "max_grad_norm": CLIP,
        },
        privacy={"noise_multiplier": NOISE, "target_delta": DELTA},
        rounds={"count": 1},
    )


if __name__ == "__main__":
    main()
