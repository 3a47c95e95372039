"""Target ε to noise, and the planner's redraw: milliseconds, tightness, and what it took before.

python -m benchmarks.calibration [--repeat 5]
"""

import argparse
import math
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from scipy.optimize import brentq

from accounting.dp import (
    accountants,
    calibration,
    compositions,
    fitting,
    lattices,
    losses,
    planning,
    saddle,
)
from accounting.dp.accountants import epsilon
from accounting.dp.events import Mechanism, PrivacyEvent
from accounting.dp.schedules import shape
from benchmarks.tables import show

RATE, STEPS, TARGET, DELTA = 0.1, 4, 1.0, 1e-5
PLANS = (("uniform", 30), ("harmonic", 30), ("harmonic", 100))
REDRAWN = (
    *((kind, rounds, STEPS, RATE) for kind, rounds in PLANS),
    ("uniform", 30, 1, 1e-4),
    ("harmonic", 100, 100, 1e-4),
    ("harmonic", 1000, 10**4, 1e-4),
    ("uniform", 10_000, 10**6, 0.01),
    ("harmonic", 10_000, 10**4, 1e-4),
)
HEADS = ["calibration to ε = 1", "ours", "below the target", "search by the accountant", "ratio"]
REDRAWS = ["planner, pure part", "first paint", "p50", "p95", "reference figures"]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    calibrated, redrawn = rows(repeat), redraws(20 * repeat)
    show(HEADS, calibrated, {"benchmark": "calibration", "rows": calibrated})
    show(REDRAWS, redrawn, {"benchmark": "planner", "rows": redrawn})


def rows(repeat: int = 5) -> list[list[str]]:
    """One row per plan: our calibration beside bisection by the same accountant, each from cold."""
    return [_row(kind, rounds, repeat) for kind, rounds in PLANS]


def redraws(count: int = 100) -> list[list[str]]:
    """One row per plan: a redraw for a target that was never asked before, and what follows it."""
    return [_redrawn(*plan, count) for plan in REDRAWN]


def _row(kind: str, rounds: int, repeat: int) -> list[str]:
    factors = shape(kind, rounds)
    ours = median(_timed(lambda: _calibrated(factors))[0] for _ in range(repeat))
    spent = _cost(_calibrated(factors))
    searched, _ = _timed(lambda: _searched(factors))
    return [
        f"{rounds} rounds, {kind}",
        f"{1e3 * ours:.0f} ms",
        f"{100 * (1 - spent / TARGET):.2f} %",
        f"{1e3 * searched:.0f} ms",
        f"{searched / ours:.1f}x",
    ]


def _calibrated(factors: tuple[float, ...]) -> tuple[float, ...]:
    return calibration.calibrate(
        target_epsilon=TARGET,
        delta=DELTA,
        shape=factors,
        sample_rate=RATE,
        steps_per_round=STEPS,
    )


def _searched(factors: tuple[float, ...]) -> float:
    """A root finder that asks the accountant each time, from a bracket that RDP would give."""

    def excess(log_scale: float) -> float:
        return _cost(tuple(math.exp(log_scale) * factor for factor in factors)) - TARGET

    return float(brentq(excess, math.log(1.0), math.log(8.0), xtol=2e-4))


def _cost(noise: tuple[float, ...]) -> float:
    kind = Mechanism.POISSON_GAUSSIAN
    return epsilon([PrivacyEvent(kind, each, RATE, STEPS) for each in noise], DELTA).epsilon


def _redrawn(kind: str, rounds: int, steps: int, rate: float, count: int) -> list[str]:
    drafts = [
        planning.Draft(rounds, steps, rate, DELTA, kind, target=0.5 + 0.01 * number)
        for number in range(count)
    ]
    times = sorted(_timed(partial(_first, draft), cold=False)[0] for draft in drafts)
    sketched = planning.is_long(drafts[0])
    whole = _timed(partial(planning.outlook, drafts[-1]), cold=False)[0] if sketched else 0.0
    return [
        f"{rounds} × {steps} steps at {rate:g}, {kind}",
        "sketch (RDP)" if sketched else "reference (PLD)",
        f"{1e3 * median(times):.0f} ms",
        f"{1e3 * times[int(0.95 * count)]:.0f} ms",
        f"{1e3 * whole:.0f} ms later" if sketched else "the same",
    ]


def _first(draft: planning.Draft) -> planning.Outlook:
    """What the panel shows at once."""
    return planning.sketch(draft) if planning.is_long(draft) else planning.outlook(draft)


def _timed(work: Callable[[], Any], *, cold: bool = True) -> tuple[float, Any]:
    if cold:
        _forget()
    began = time.perf_counter()
    done = work()
    return time.perf_counter() - began, done


def _forget() -> None:
    """Drop what earlier runs left: every measurement starts as the first of its kind."""
    for kept in (
        calibration._calibrated,
        calibration._scale,
        fitting._of_step,
        planning.outlook,
        planning.sketch,
        saddle.by_saddle,
    ):
        kept.cache_clear()
    accountants._remembered.cache_clear()
    compositions.forget()
    lattices.window.cache_clear()
    losses.profile.cache_clear()


if __name__ == "__main__":
    main()
