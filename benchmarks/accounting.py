"""Our accountants beside their peers: ε, certified interval and time, on known and random plans.

    python -m benchmarks.accounting [--points 100] [--seed 1] [--speed-only]

Peers: dp_accounting (PLD, RDP) and Opacus (PRV, RDP), both installed with the product, and
Microsoft's prv_accountant where it can be imported (benchmarks/requirements-peers.txt). Times are
of histories that were never asked before, except where they say otherwise. It fails where our PLD
lies under a certified lower end, or further than 1e-3 from dp_accounting's.
"""

import argparse
import logging
import math
import random
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any

from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from opacus.accountants import RDPAccountant

from accounting.dp import accountants
from accounting.dp.curves import composed_after
from accounting.dp.events import Mechanism, PrivacyEvent
from benchmarks.calibration import _forget as forget
from benchmarks.tables import show

History = tuple[PrivacyEvent, ...]
Interval = tuple[float | None, float]  # certified lower end, where there is one; ε
CLOSE = 1e-3  # of ε, or absolute below 1


@dataclass(frozen=True)
class Case:
    """A history with the δ that it is asked at."""

    name: str
    history: History
    delta: float


def event(noise: float, rate: float, steps: int) -> PrivacyEvent:
    """A sampled, or at rate 1 a plain, Gaussian."""
    kind = Mechanism.GAUSSIAN if rate == 1.0 else Mechanism.POISSON_GAUSSIAN
    return PrivacyEvent(kind, noise, rate, steps)


def known() -> list[Case]:
    """The reference points of docs/accounting.md."""
    falling = tuple(event(2.3 - n / 30, 0.064, 16) for n in range(30))
    return [
        Case("noise 1.1, rate 0.01, 1000 steps", (event(1.1, 0.01, 1000),), 1e-5),
        Case("noise 1.0, rate 0.01, 1000 steps", (event(1.0, 0.01, 1000),), 1e-5),
        Case("noise 0.8, rate 0.001, 10000 steps", (event(0.8, 0.001, 10_000),), 1e-6),
        Case("480 steps and 6 histograms", (event(3.7207, 0.064, 480), event(20, 1.0, 6)), 1e-5),
        Case("30 noises, falling", falling, 1e-5),
        Case("full batch, 10 steps", (event(8.0, 1.0, 10),), 1e-5),
    ]


def drawn(count: int, seed: int) -> list[Case]:
    """Random mixtures of one to three sampled Gaussians whose ε is between 0.05 and 20."""
    source = random.Random(seed)  # noqa: S311 (no key, no noise)
    found: list[Case] = []
    while len(found) < count:
        history = tuple(_drawn(source) for _ in range(source.randint(1, 3)))
        delta = 10.0 ** -source.randint(3, 8)
        if 0.05 < accountants.epsilon(history, delta, "rdp").epsilon < 20:
            found.append(Case(f"random {len(found) + 1}", history, delta))
    return found


def _drawn(source: random.Random) -> PrivacyEvent:
    noise = math.exp(source.uniform(math.log(0.7), math.log(10)))
    rate = math.exp(source.uniform(math.log(1e-3), math.log(0.5)))
    return event(noise, rate, int(math.exp(source.uniform(0, math.log(3000)))))


def _ours(name: str) -> Callable[[Case], Interval]:
    def ask(case: Case) -> Interval:
        figure = accountants.get(name).epsilon(case.history, case.delta)
        return figure.low, figure.epsilon

    return ask


def _google(kind: type) -> Callable[[Case], Interval]:
    def ask(case: Case) -> Interval:
        accountant = kind()
        for each in case.history:
            gaussian = dp_event.GaussianDpEvent(each.noise_multiplier)
            accountant.compose(
                dp_event.PoissonSampledDpEvent(each.sample_rate, gaussian), each.steps
            )
        return None, accountant.get_epsilon(case.delta)

    return ask


def _opacus_rdp(case: Case) -> Interval:
    accountant = RDPAccountant()
    accountant.history = [(e.noise_multiplier, e.sample_rate, e.steps) for e in case.history]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return None, accountant.get_epsilon(case.delta)


def _microsoft(case: Case) -> Interval:
    module = import_module("prv_accountant")
    mechanism = module.PoissonSubsampledGaussianMechanism
    prvs = [
        mechanism(noise_multiplier=e.noise_multiplier, sampling_probability=e.sample_rate)
        for e in case.history
    ]
    steps = [e.steps for e in case.history]
    accountant = module.PRVAccountant(
        prvs=prvs, max_self_compositions=steps, eps_error=0.01, delta_error=case.delta * 1e-3
    )
    low, _, high = accountant.compute_epsilon(case.delta, steps)
    return max(low, 0.0), high


PEERS: dict[str, Callable[[Case], Interval]] = {
    "pld (ours)": _ours("pld"),
    "rdp (ours)": _ours("rdp"),
    "dp_accounting PLD": _google(PLDAccountant),
    "dp_accounting RDP": _google(RdpAccountant),
    "Opacus PRV": _ours("prv"),
    "Opacus RDP": _opacus_rdp,
} | ({"prv_accountant": _microsoft} if find_spec("prv_accountant") else {})
SAMPLED_ONLY = {"Opacus PRV", "prv_accountant"}  # of the peers with a certified lower end


def timed(ask: Callable[[Case], Interval], case: Case) -> tuple[Interval | None, float]:
    """(interval, seconds), from cold; None where the peer has no answer."""
    forget()
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = ask(case)
        except (ArithmeticError, RuntimeError, ValueError):
            return None, time.perf_counter() - began
    return found, time.perf_counter() - began


def accuracy(cases: Sequence[Case]) -> None:
    """Print the known points, then what all of them say together; fail where a bound is passed."""
    found = {case.name: {name: timed(ask, case) for name, ask in PEERS.items()} for case in cases}
    heads = ["", *PEERS]
    rows = [[case.name, *map(_cell, found[case.name].values())] for case in known()]
    show(heads, rows, {"benchmark": "accuracy", "points": len(cases)})
    together = [_summary(name, found) for name in PEERS]
    summary = {"benchmark": "accuracy, all points", "rows": together}
    show(["", "answers", "ms, median", "ms, worst", "above our PLD, median"], together, summary)
    ends = [_ends(case.name, found[case.name]) for case in cases]
    print(
        f"{len(ends)} histories: our PLD is never under a certified lower end; its distance to "
        f"dp_accounting's PLD is at most {max(end[0] for end in ends):.1e} of ε; its own interval "
        f"is {median(end[1] for end in ends):.1e} of ε wide (at most {max(e[1] for e in ends):.1e})"
    )


def _cell(answer: tuple[Interval | None, float]) -> str:
    interval, seconds = answer
    if interval is None:
        return "none"
    low, high = interval
    between = "" if low is None else f"{low:.4f} … "
    return f"{between}{high:.4f}, {1e3 * seconds:.1f} ms"


def _summary(name: str, found: dict[str, dict[str, Any]]) -> list[str]:
    answers = [answers[name] for answers in found.values()]
    above = [
        each[name][0][1] / each["pld (ours)"][0][1] - 1 for each in found.values() if each[name][0]
    ]
    times = sorted(1e3 * seconds for _, seconds in answers)
    return [
        name,
        str(sum(interval is not None for interval, _ in answers)),
        f"{median(times):.2f}",
        f"{times[-1]:.0f}",
        f"{100 * median(above):.2f} %",
    ]


def _ends(name: str, answers: dict[str, Any]) -> tuple[float, float]:
    """(distance to dp_accounting's PLD, width of our interval), as parts of ε; checks both."""
    low, high = answers["pld (ours)"][0]
    for peer in SAMPLED_ONLY & answers.keys():
        if answers[peer][0]:
            assert high >= answers[peer][0][0], f"{name}: {high} is under {peer}'s lower end"
    scale = max(high, 1.0)
    distance = abs(high - answers["dp_accounting PLD"][0][1]) / scale
    assert distance <= CLOSE, f"{name}: {distance:.1e} from dp_accounting"
    return distance, (high - low) / scale


def speed() -> None:
    """Print the live figures: a study that grows, and a page of many sites."""
    rows = [_growing(300)]
    for plan in _PLANS:
        rows += [_page(100, plan, later=later) for later in (False, True)]
    heads = ["", "ours", "ours, asked again", "dp_accounting PLD", "ratio"]
    show(heads, rows, {"benchmark": "speed", "rows": rows})


def _growing(rounds: int) -> list[str]:
    """A figure after each round, every round of another noise."""
    events = [event(3.0 + n / 100, 0.05, 4) for n in range(rounds)]
    listed = range(1, rounds + 1)
    forget()
    began = time.perf_counter()
    for end in range(1, rounds + 1):
        accountants.epsilon(events[:end], 1e-5)
    live = time.perf_counter() - began
    again = _seconds(lambda: accountants.epsilon(events, 1e-5))
    forget()
    curve = _seconds(lambda: composed_after([[e] for e in events], 1e-5, listed))
    theirs = PLDAccountant()
    began = time.perf_counter()
    for each in events:
        gaussian = dp_event.GaussianDpEvent(each.noise_multiplier)
        theirs.compose(dp_event.PoissonSampledDpEvent(each.sample_rate, gaussian), each.steps)
        theirs.get_epsilon(1e-5)
    peer = time.perf_counter() - began
    name = f"{rounds} rounds of different noise, a figure after each (the curve: {curve:.2f} s)"
    return _line(name, live, again, peer)


_ASKED = 10  # sites that the peer is asked about; its time for all is in proportion
_MOST = tuple(event(3.0 * math.sqrt(n), 0.05, 4) for n in range(1, 32))


def _missing(number: int) -> tuple[History, History]:
    """28 of 30 rounds of rising noise, another two missing at each site; and one round more."""
    taken = [each for n, each in enumerate(_MOST[:-1]) if n not in (number % 30, number // 4)]
    return tuple(taken), (*taken, _MOST[-1])


_PLANS: dict[str, Callable[[int], tuple[History, History]]] = {
    "one plan": lambda number: ((event(2.0, 0.05, 100),), (event(2.0, 0.05, 116),)),
    "30 different rounds, two missed": _missing,
    "a noise of its own each": lambda number: (
        (event(2.0 + number / 50, 0.05, 100),),
        (event(2.0 + number / 50, 0.05, 116),),
    ),
}


def _page(sites: int, plan: str, *, later: bool) -> list[str]:
    """One figure for each site, from cold or a round `later` than when the page was last shown."""
    before, after = zip(*map(_PLANS[plan], range(sites)), strict=True)

    def ask(histories: Sequence[History]) -> None:
        for history in histories:
            accountants.epsilon(history, 1e-5)

    forget()
    if later:
        ask(before)
    histories = after if later else before
    cold, warm = _seconds(partial(ask, histories)), _seconds(partial(ask, histories))
    some = histories[:: sites // _ASKED]
    google = _google(PLDAccountant)
    peer = _seconds(lambda: [google(Case("", each, 1e-5)) for each in some]) * sites / len(some)
    when = "a round later" if later else "from cold"
    return _line(f"{sites} sites on a page, {plan}, {when}", cold, warm, peer)


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _line(name: str, cold: float, warm: float, peer: float) -> list[str]:
    ratio = f"{peer / cold:.0f}x"
    return [name, f"{1e3 * cold:.1f} ms", f"{1e3 * warm:.2f} ms", f"{1e3 * peer:.0f} ms", ratio]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed-only", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # dp_accounting tells of each order that it leaves out
    if not options.speed_only:
        accuracy([*known(), *drawn(options.points, options.seed)])
    speed()


if __name__ == "__main__":
    main()
