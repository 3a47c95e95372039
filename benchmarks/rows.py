"""Rows of one site, from 1e5 to 1e8 × 10 features: memory, time to read once, time of a step.

A source is written, read once into the site's row store, and then an MLP 10→32→1 makes private
steps of 512 units on average. Each size runs in a process of its own, whose peak memory (VmHWM,
mapped file pages included) is what counts. "step" is with the row store in the system's file cache:
it is read through once before, as a system drops what it caches when it likes. "busy" is processor
time, which other work on the machine does not stretch. "cold" steps are the first ones after the
row store was let go, dropped from the file cache and opened again: their rows come from the disk.

    python -m benchmarks.rows [--rows 1e5 1e6 1e7] [--source parquet] [--patients] [--holdout 0.1]
"""

import argparse
import csv
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.tables import show
from federation.learning.initial import initial_tensors
from federation.learning.training import Session, prepare
from federation.protocol.document import Protocol
from federation.site.config import Dataset
from federation.site.datasets import Datasets

FEATURES, BATCH, STEPS, COLD_STEPS = 10, 512, 200, 20
PIECE = 500_000
ROWS_PER_PATIENT = 4
NAMES = [f"x{n}" for n in range(FEATURES)]
SECRET = b"benchmark secret, 32 bytes......"


def main() -> None:
    """Run every size, print the table and one line of JSON."""
    options = _options()
    if options.measure:
        print(json.dumps(_measured(options.measure, int(options.rows[0]), options)))
        return
    results = []
    for rows in (int(rows) for rows in options.rows):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            file = Path(folder) / f"rows.{options.source}"
            _write(file, rows, options)
            results.append(_in_own_process(file, rows, options))
    heads = [
        "rows",
        "source MiB",
        "read once s",
        "rows/s",
        "peak MiB",
        "step ms",
        "of it busy",
        "cold ms",
    ]
    show(heads, [_line(found) for found in results], {"rows": results, "source": options.source})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e5, 1e6, 1e7])
    parser.add_argument("--source", choices=["parquet", "csv"], default="parquet")
    parser.add_argument("--patients", action="store_true", help="units of several rows")
    parser.add_argument("--holdout", type=float, default=0.0)
    parser.add_argument("--folder", type=Path, help="where the files lie meanwhile")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _line(found: dict[str, Any]) -> list[str]:
    return [
        f"{found['rows']:.0e}",
        f"{found['source_bytes'] / 2**20:.0f}",
        f"{found['read_seconds']:.1f}",
        f"{found['rows'] / found['read_seconds']:.0f}",
        f"{found['peak_bytes'] / 2**20:.0f}",
        f"{found['step_ms']:.2f}",
        f"{found['busy_step_ms']:.2f}",
        f"{found['cold_step_ms']:.2f}",
    ]


def _pieces(rows: int, patients: bool) -> Iterator[dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    for first in range(0, rows, PIECE):
        count = min(PIECE, rows - first)
        piece = {name: random.uniform(-1, 1, count).astype(np.float32) for name in NAMES}
        piece["y"] = (piece["x0"] > piece["x1"]).astype(np.int8)
        if patients:  # scattered over the whole file, as visits are
            piece["who"] = random.integers(0, max(1, rows // ROWS_PER_PATIENT), count)
        yield piece


def _write(file: Path, rows: int, options: argparse.Namespace) -> None:
    if options.source == "csv":
        with file.open("w", newline="") as text:
            writer = csv.writer(text)
            for place, piece in enumerate(_pieces(rows, options.patients)):
                if place == 0:
                    writer.writerow(piece)
                writer.writerows(zip(*(cells.tolist() for cells in piece.values()), strict=True))
        return
    first = next(_pieces(1, options.patients))
    schema = pa.schema([(name, pa.from_numpy_dtype(cell.dtype)) for name, cell in first.items()])
    with pq.ParquetWriter(file, schema) as writer:
        for piece in _pieces(rows, options.patients):
            writer.write_table(pa.table(piece, schema=schema))


def _in_own_process(file: Path, rows: int, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.rows", "--measure", str(file), "--rows", str(rows)]
    command += ["--holdout", str(options.holdout), *(["--patients"] if options.patients else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _measured(file: Path, rows: int, options: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(1)
    agreed = _protocol(rows, options)
    dataset = Dataset.model_validate({"name": "rows", "file": str(file)})
    started = time.perf_counter()
    split = Datasets(SECRET, file.parent / "rows").read(dataset, agreed)
    read_seconds = time.perf_counter() - started
    session = prepare(agreed, initial_tensors(agreed), split.train, 1.0, float(BATCH))
    _timed(session, 10)
    _cache(file.parent / "rows")
    busy = time.process_time()
    warm = _timed(session, STEPS)
    busy = time.process_time() - busy
    units = split.train.n_units
    # What is mapped cannot be dropped.
    del session, split
    gc.collect()
    _drop(file.parent / "rows")
    split = Datasets(SECRET, file.parent / "rows").read(dataset, agreed)
    cold = _timed(prepare(agreed, initial_tensors(agreed), split.train, 1.0, BATCH), COLD_STEPS)
    return {
        "rows": rows,
        "units": units,
        "source_bytes": file.stat().st_size,
        "read_seconds": read_seconds,
        "peak_bytes": _peak(),
        "step_ms": 1e3 * median(warm),
        "busy_step_ms": 1e3 * busy / STEPS,
        "cold_step_ms": 1e3 * median(cold),
    }


def _protocol(rows: int, options: argparse.Namespace) -> Protocol:
    data: dict[str, Any] = {
        "columns": [{"name": name, "low": -1, "high": 1} for name in NAMES],
        "target": {"column": "y", "classes": [["0"], ["1"]]},
    }
    units = rows
    if options.patients:
        units = max(1, rows // ROWS_PER_PATIENT)
        data |= {"unit": "patient", "patient_column": "who", "max_rows_per_patient": 8}
    return Protocol.model_validate(
        {
            "name": "rows",
            "data": data,
            "model": {"architecture": "mlp", "parameters": {"hidden": [32]}},
            "training": {
                "sample_rate": min(1.0, BATCH / units),
                "local_steps": 1,
                "learning_rate": 0.1,
                "max_grad_norm": 1.0,
                "initialisation": "seeded",
            },
            "privacy": {"noise_multiplier": 1.0, "target_delta": 1e-9},
            "rounds": {"count": 1},
            "evaluation": {"holdout": options.holdout},
        }
    )


def _timed(session: Session, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        started = time.perf_counter()
        session.step()
        found.append(time.perf_counter() - started)
    return found


def _cache(folder: Path) -> None:
    for path in folder.rglob("train.*"):
        with path.open("rb") as file:
            while file.read(16 << 20):
                pass


def _drop(folder: Path) -> None:
    for path in folder.rglob("train.*"):
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def _peak() -> int:
    """Bytes: the most that was resident at once, since this program was started."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
