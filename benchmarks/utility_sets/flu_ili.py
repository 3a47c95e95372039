"""Will next week's share of visits for influenza-like illness be high? Ten regions are the sites.

Windows of four weeks, the class is that of the week after. The figures are sums over patients, and
no patient is in the file: what is protected as one unit is a quarter of a year of one region (up
to 13 weeks, all windows of which lie within it), and nothing smaller or larger. Trained up to 2015,
tested on 2016 to 2019, before the pandemic changed what the figures mean.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.utility_rows import Row, sites
from benchmarks.utility_sets import DataSet, Settings, Site
from federation.protocol.contract import Encoded

HIGH = 2.0  # per cent; the CDC's national baselines lie between 2 and 2.6
WEEKS_PER_UNIT, LENGTH = 13, 4
FIRST_TEST, LAST_TEST = 2016, 2019
CONTRACT: dict[str, Any] = {
    "unit": "patient",
    "patient_column": "quarter",
    "max_rows_per_patient": WEEKS_PER_UNIT - LENGTH,
    "columns": [
        {"name": "ili", "low": 0, "high": 20, "centre": HIGH, "spread": 2, "outside": "clip"},
        {"name": "winter", "low": -1, "high": 1},  # the week's place in the year, on a circle
        {"name": "spring", "low": -1, "high": 1},
    ],
    "target": {"column": "level", "classes": [["0"], ["1"]], "names": ["low", "high"]},
    "windows": {"length": LENGTH, "horizon": 1, "order": ["week"]},
}


def load(folder: Path) -> dict[str, Site]:
    """The ten regions."""
    return sites(_weeks(folder / "flu_ili" / "ILINet.csv"), CONTRACT, _place)


def _weeks(file: Path) -> Iterator[Row]:
    with file.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["REGION TYPE"] == "HHS Regions"]
    by_region: dict[str, list[Row]] = {}
    for row in rows:
        if int(row["YEAR"]) <= LAST_TEST:
            by_region.setdefault(row["REGION"], []).append(row)
    for region, weeks in by_region.items():
        yield from _quarters(region, weeks)


def _quarters(region: str, weeks: list[Row]) -> Iterator[Row]:
    """The reported weeks of one region, in pieces of at most WEEKS_PER_UNIT without a gap."""
    quarter = length = 0
    for number, row in enumerate(weeks):
        # Before 2002 nothing was reported in summer, and no piece reaches into a test year.
        reported = float(row["TOTAL PATIENTS"]) > 0
        if not reported or length == WEEKS_PER_UNIT or row["WEEK"] == "1":
            quarter, length = quarter + 1, 0
        if reported:
            length += 1
            yield _week(region, number, row) | {"quarter": f"{region} {quarter}"}


def _week(region: str, number: int, row: Row) -> dict[str, str]:
    turn = 2 * math.pi * int(row["WEEK"]) / 52
    ili = float(row["% WEIGHTED ILI"])
    return {
        "region": region.lower().replace(" ", "-"),
        "year": row["YEAR"],
        "week": str(number),
        "ili": str(ili),
        "winter": str(math.cos(turn)),
        "spring": str(math.sin(turn)),
        "level": str(int(ili >= HIGH)),
    }


def _place(row: Row) -> tuple[str, bool]:
    return row["region"], int(row["year"]) >= FIRST_TEST


def _level(windows: Encoded) -> np.ndarray:
    """1 where the window's last week was high: encoded, HIGH is 0."""
    return (windows.features[:, -len(CONTRACT["columns"])] >= 0).astype(np.float64)


def _chosen(rounds: int, learning_rate: float) -> Settings:
    return Settings(rounds, learning_rate, sample_rate=0.5)


SET = DataSet(
    title="ILI, next week",
    delta=1e-4,
    contract=CONTRACT,
    load=load,
    models={
        "logistic": {"architecture": "logistic"},
        "LSTM 3-16": {"architecture": "lstm", "parameters": {"hidden": 16, "layers": 1}},
    },
    settings={
        "logistic": {np.inf: _chosen(60, 8), 8.0: _chosen(60, 8), 1.0: _chosen(15, 8)},
        "LSTM 3-16": {np.inf: _chosen(60, 8), 8.0: _chosen(60, 4), 1.0: _chosen(60, 1)},
    },
    rules={"as the last week": _level},
)
