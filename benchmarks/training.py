"""A private step beside one without privacy: time and peak memory, by model, engine and batch.

    python -m benchmarks.training [--models MLP CNN] [--batches 64 512] [--ways plain ours]

One thread. Times are processor time of a whole step, its sampling and noise included; each is
measured in a process of its own, so that the peak of memory is its own too (above what the data
and the libraries take). One process may be a tenth faster than the next: steps below a
millisecond are measured in nine of each way, in turns, and the median counts. Hooks that
would take over 4 GiB (`--gib`) are not tried.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.tables import show
from benchmarks.training_models import MODELS, WAYS, data
from federation.learning.noise import Keystream
from federation.learning.sampler import poisson

BATCHES = (64, 512, 2048)
ROWS, IMAGES = 8192, 4096
LEAST_SECONDS, MOST_SECONDS, MOST_STEPS = 0.5, 12.0, 300
GIB = 4.0
TURNS, SHORT_MS = 9, 1.0


def measured(name: str, way: str, batch: int) -> dict[str, float]:
    """{"ms": lower quartile of a step, "mib": peak above the start}, in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    model = MODELS[name]
    rows = data(model, max(2 * batch, IMAGES if len(model.shape) > 2 else ROWS))
    step = WAYS[way](model, rows, batch)
    before = _peak()
    step()
    times: list[float] = []
    began = time.process_time()
    while len(times) < 3 or (time.process_time() - began < LEAST_SECONDS):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
        if time.process_time() - began > MOST_SECONDS or len(times) == MOST_STEPS:
            break
    return {"ms": 1e3 * sorted(times)[len(times) // 4], "mib": (_peak() - before) / 1024}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def in_a_child(name: str, way: str, batch: int, gib: float) -> dict[str, float] | None:
    """`measured` elsewhere; None where it would not fit, or failed."""
    size = sum(parameter.numel() for parameter in MODELS[name].build(False).parameters())
    if way == "hooks" and 8 * size * batch > gib * 2**30:
        return None
    command = [sys.executable, "-m", "benchmarks.training", "--one", name, way, str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name}, {way}, {batch}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def in_turns(
    name: str, ways: list[str], batch: int, gib: float
) -> dict[str, dict[str, float] | None]:
    """`in_a_child` for each way; the short ones again, one after the other, for their medians."""
    every = {way: [in_a_child(name, way, batch, gib)] for way in ways}
    for _ in range(TURNS - 1):
        for way, seen in every.items():
            if seen[0] is not None and seen[0]["ms"] < SHORT_MS:
                seen.append(in_a_child(name, way, batch, gib))
    return {way: _middle(seen) for way, seen in every.items()}


def _middle(seen: list[dict[str, float] | None]) -> dict[str, float] | None:
    done = [one for one in seen if one is not None]
    return {key: median(one[key] for one in done) for key in done[0]} if done else None


def compared(models: list[str], ways: list[str], batches: list[int], gib: float) -> None:
    """Print step time, its ratio to plain, and memory."""
    rows, record = [], []
    for name in models:
        for batch in batches:
            found = in_turns(name, ways, batch, gib)
            record.append({"model": name, "batch": batch, "ways": found})
            base = found.get("plain")
            rows.append([name, str(batch), *(_cell(one, base) for one in found.values())])
    show(["model", "batch", *ways], rows, {"benchmark": "training", "cases": record})


def _cell(one: dict[str, float] | None, base: dict[str, float] | None) -> str:
    if one is None:
        return "none"
    ratio = f" ({one['ms'] / base['ms']:.2f}x)" if base else ""
    return f"{one['ms']:.3g} ms{ratio}, {one['mib']:.0f} MiB"


def sampling() -> None:
    """Print what a Poisson sample costs, by the number of units."""
    stream, rows, record = Keystream(), [], []
    for batch in BATCHES:
        cells = [f"{_sample_seconds(stream, units, batch):.1f} µs" for units in _UNITS]
        rows.append([str(batch), *cells])
        record.append({"batch": batch, "cells": cells})
    heads = ["batch", *(f"{units:.0e} units" for units in _UNITS)]
    show(heads, rows, {"benchmark": "sampling", "rows": record})


_UNITS = (10**4, 10**6, 10**8)


def _sample_seconds(stream: Keystream, units: int, batch: int) -> float:
    times = []
    for _ in range(500):
        start = time.process_time_ns()
        poisson(stream, units, batch / units)
        times.append(time.process_time_ns() - start)
    return float(np.quantile(times, 0.25)) / 1e3


def main() -> None:
    """Print both tables, or, as a child, one measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[""], help="beginnings of their names")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--gib", type=float, default=GIB, help="memory that hooks may take")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    if options.one:
        name, way, batch = options.one
        print(json.dumps(measured(name, way, int(batch))))
        return
    models = [name for name in MODELS if name.startswith(tuple(options.models))]
    compared(models, options.ways, options.batches, options.gib)
    sampling()


if __name__ == "__main__":
    main()
