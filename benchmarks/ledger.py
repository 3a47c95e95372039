"""A ledger of 100,000 entries on SQLite: one append with its commit, one figure, all verified.

200 sites in 125 rounds of one study, synchronous commits, beside what the obvious ways cost in the
same run: summing the rows at each append, and asking dp_accounting for the figure.

    python -m benchmarks.ledger [--sites 200] [--rounds 125] [--schedule uniform|harmonic]
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import django
from django.core.management import call_command

from benchmarks.tables import show

DELTA, RATE, STEPS, LAST = 1e-5, 0.01, 10, 2.0


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=125)
    parser.add_argument("--schedule", choices=("uniform", "harmonic"), default="uniform")
    parser.add_argument("--samples", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        record = measure(options.sites, options.rounds, options.schedule, options.samples)
    show(("", "measured"), table(record), record)


def prepare(folder: Path) -> None:
    """A hub's empty database in `folder`, with the settings of the product."""
    os.environ.update(CLOISTER_VAR=str(folder), DJANGO_SETTINGS_MODULE="config.settings")
    os.environ.pop("CLOISTER_DATABASE_URL", None)
    django.setup()
    call_command("migrate", verbosity=0)


def measure(sites: int, rounds: int, schedule: str, samples: int) -> dict[str, Any]:
    """Everything in one run; seconds."""
    world = import_module("benchmarks.ledger_world")  # its models need Django's settings
    started = time.perf_counter()
    world.build(sites, rounds, samples, schedule)
    record: dict[str, Any] = {"entries": world.size(), "build": time.perf_counter() - started}
    record |= appends(world, rounds, samples)
    record |= figures(world)
    record |= verification(world)
    record["memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return record


def appends(world: Any, rounds: int, samples: int) -> dict[str, Any]:
    """One reservation and one charge, each with its own commit, on the long ledger."""
    site = "house-0"
    reserved, charged, processor = [], [], []
    for number in range(samples):
        request = world.request(site, rounds + 1 + number)
        world.ledger.warm([request])  # as the hub does while the sites train
        started = time.process_time()
        reserved.append(timed(lambda r=request: world.ledger.reserve_all([r])))
        processor.append(time.process_time() - started)
        charged.append(timed(lambda r=request: world.ledger.charge(r.key)))
        world.give_back(request.key)
    summed = [timed(lambda: world.summed_rows(site)) for _ in range(20)]
    kept = [timed(lambda: world.histories.load([site])) for _ in range(20)]
    return {
        "reserve_and_commit": spread(reserved),
        "reserve_processor": spread(processor),
        "charge_and_commit": spread(charged),
        "bare_commit": spread([timed(world.bare_commit) for _ in range(samples)]),
        "history_from_sums": median(kept),
        "history_from_rows": median(summed),
        "whole_history_from_sums": timed(lambda: world.histories.load()),
        "whole_history_from_rows": timed(lambda: world.summed_rows()),
    }


def figures(world: Any) -> dict[str, Any]:
    """The live ε of one site after the last round: nothing remembered, and remembered."""
    ours, cold = world.figure("house-0", DELTA)
    again = min(timed(lambda: world.page_figure("house-0", DELTA)) for _ in range(20))
    peer, theirs = world.peer_figure("house-0", DELTA)
    assert abs(ours / peer - 1) < 2e-3, (ours, peer)
    return {"figure": ours, "figure_cold": cold, "figure_warm": again, "figure_peer": theirs}


def verification(world: Any) -> dict[str, Any]:
    """The whole ledger twice: every ε derived, then with the figures remembered."""
    world.issue()
    cold = timed(world.verified)
    warm = timed(world.verified)
    return {"verify_with_accountant": cold, "verify_rows": warm}


def timed(act: Callable[[], Any]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def spread(seconds: list[float]) -> dict[str, float]:
    """Median and 95th centile."""
    return {"p50": median(seconds), "p95": quantiles(seconds, n=20)[-1]}


def table(record: dict[str, Any]) -> list[list[str]]:
    """What people read."""
    entries = record["entries"]

    def both(name: str) -> str:
        return f"{1e3 * record[name]['p50']:.2f} ms (p95 {1e3 * record[name]['p95']:.2f})"

    def milliseconds(name: str) -> str:
        return f"{1e3 * record[name]:.2f} ms"

    rows, peer = record["history_from_rows"] / record["history_from_sums"], record["figure_peer"]
    return [
        ["entries", f"{entries:,}"],
        ["reserve and commit", both("reserve_and_commit")],
        ["– of that, processor time", both("reserve_processor")],
        ["charge and commit", both("charge_and_commit")],
        ["of that: an empty commit, synced", both("bare_commit")],
        ["history of one site, running sums", milliseconds("history_from_sums")],
        ["history of one site, summing its rows", milliseconds("history_from_rows")],
        ["– ratio", f"{rows:.1f}"],
        ["histories of all sites, running sums", milliseconds("whole_history_from_sums")],
        ["histories of all sites, summing rows", milliseconds("whole_history_from_rows")],
        ["one figure, nothing remembered", milliseconds("figure_cold")],
        ["one figure with its query, remembered", milliseconds("figure_warm")],
        ["dp_accounting PLD, the same figure", milliseconds("figure_peer")],
        ["– ratio to ours, nothing remembered", f"{peer / record['figure_cold']:.1f}"],
        ["verification, every ε derived", f"{record['verify_with_accountant']:.2f} s"],
        ["verification, figures remembered", f"{record['verify_rows']:.2f} s"],
        ["– entries a second", f"{entries / record['verify_rows']:,.0f}"],
        ["most memory", f"{record['memory_mib']:.0f} MiB"],
    ]


if __name__ == "__main__":
    main()
