"""Numbers as the report writes them: exact decimal strings, and beside them the rounded-up ones."""

import math
from collections.abc import Sequence
from typing import Any

from accounting.dp.accountants import epsilon
from accounting.dp.claims import Filter, claim
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure, Unbounded
from accounting.selectors import shown

OTHER_DELTAS = ("1e-4", "1e-5", "1e-6", "1e-7", "1e-8", "1e-9")
NOT_CERTIFIED = "not computed in a preview; an issued report has it"


def figure(found: Figure, unit: str, scope: str) -> dict[str, Any]:
    """An ε with everything that belongs to it; never one without the other."""
    return {
        "epsilon": repr(found.epsilon),
        "shown": found.shown(),
        "low": None if found.low is None else repr(found.low),
        "delta": f"{found.delta:g}",
        "accountant": found.accountant,
        "version": found.version,
        "discretisation": found.discretisation,
        "unit": unit,
        "scope": scope,
    }


def certified(events: Sequence[PrivacyEvent], delta: float) -> dict[str, str] | str:
    """The second opinion: PRV's certified [low, high]. Imports torch: never in a web process."""
    try:
        found = epsilon(events, delta, "prv")
    except ValueError as error:
        return f"the second accountant has no bound for this history: {error}"
    return {
        "low": repr(found.low),
        "high": repr(found.epsilon),
        "shown": f"[{shown.down(found.low or 0.0)}, {found.shown()}]",
        "accountant": found.accountant,
        "version": found.version,
        "discretisation": found.discretisation,
    }


def left(budget: float, spent: float) -> str:
    """What remains of a budget, rounded down."""
    return shown.down(budget - spent)


def percent_sure(spent: float) -> str:
    """An attacker's best posterior from 50 %, e^ε/(1+e^ε), in per cent, rounded up to tenths.

    Kairouz, Oh and Viswanath 2015 (arXiv 1311.0776): the trade-off of (ε, 0).
    """
    share = 100.0 / (1.0 + math.exp(-spent))
    return shown.up(share, places=1)


def at_other_deltas(
    events: Sequence[PrivacyEvent], by: Filter | None = None
) -> list[dict[str, str]]:
    """What may be claimed of the same history at δ = 1e-4 … 1e-9."""
    return [{"delta": delta, "shown": _shown(events, float(delta), by)} for delta in OTHER_DELTAS]


def _shown(events: Sequence[PrivacyEvent], delta: float, by: Filter | None) -> str:
    try:
        return claim(events, delta, by).claimed.shown()
    except Unbounded:
        return "not bounded by this accountant"
