"""Events as they are written, and an ε that somebody wrote against the ε of the events."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from accounting.verifier.parts.histories import Composer, Interval
from accounting.verifier.parts.losses import History, Price
from accounting.verifier.parts.reading import Unknown, Wrong, decimal, pick
from accounting.verifier.parts.renyi import ORDERS, Renyi

MECHANISMS = ("poisson_sampled_gaussian", "gaussian")
WORDS = {
    "sampler": ("poisson", "full_batch"),
    "noise_grade": ("float noise, CSPRNG", "hardened"),
    "neighbouring": ("add_remove",),
}
NUMBERS = ("max_grad_norm", "batch_denominator")
FIELDS = ("mechanism", "noise_multiplier", "sample_rate", "steps", "unit", "rows_per_unit")
MOST_STEPS, MOST_ROWS = 10**12, 10**4
SEALED_ORDER = re.compile(r"order ([0-9.]+), sealed in advance")
# How far a written ε may be above the certified upper end: accountant -> (relative, absolute).
# A hub's own grid may be coarser than the one here; below the lower end nothing is allowed.
TOLERANCES = {
    "pld": (1e-3, 2e-4),
    "dp_accounting_pld": (1e-3, 2e-4),
    "prv": (1e-2, 2.5e-2),
}
RENYI_TOLERANCE = 1e-6  # relative: a Rényi figure is a formula, with no grid


class Event(NamedTuple):
    """What decides the price of an event, how often it was done, and the unit it protects."""

    price: Price
    steps: int
    unit: str


def event(document: Any) -> Event:
    """An event, every part of it understood. Raises Wrong, or Unknown for what is newer."""
    mechanism = pick(document, "mechanism", str)
    _check_words(document, mechanism)
    noise, rate = decimal(document, "noise_multiplier"), decimal(document, "sample_rate")
    steps = pick(document, "steps", int)
    rows = pick(document, "rows_per_unit", int) if "rows_per_unit" in document else 1
    if not (1e-6 <= noise <= 1e12 and 1e-12 <= rate <= 1.0):
        raise Wrong("an event's noise or sample rate is out of range")
    if not (1 <= steps <= MOST_STEPS and 1 <= rows <= MOST_ROWS):
        raise Wrong("an event's number of steps, or of rows of a unit, is out of range")
    if rate != 1.0 and (mechanism == "gaussian" or document.get("sampler") == "full_batch"):
        raise Wrong("an event without sampling claims to be amplified by sampling")
    unit = pick(document, "unit", str) if "unit" in document else "row"
    return Event((noise, rate, rows), steps, unit)


def _check_words(document: dict[str, Any], mechanism: str) -> None:
    if mechanism not in MECHANISMS:
        raise Unknown(f"the mechanism {mechanism[:80]!r}")
    for name in document:
        if name not in FIELDS and name not in WORDS and name not in NUMBERS:
            raise Unknown(f"the part {name[:80]!r} of a privacy event")
    for name, known in WORDS.items():
        if document.get(name, known[0]) not in known:
            raise Unknown(f"the {name} {str(document[name])[:80]!r}")


def history(events: Iterable[Event]) -> History:
    """Equal events added up."""
    total: dict[Price, int] = {}
    for each in events:
        total[each.price] = total.get(each.price, 0) + each.steps
    return total


class Figures:
    """Derives ε again, by the accountant that a figure names."""

    def __init__(self) -> None:
        self._composer, self._renyi = Composer(), Renyi()
        self.checked = 0

    def check(self, figure: Any, spent: History, order: float | None = None) -> Interval:
        """The interval in which the ε of `spent` lies, if `figure` is right about it.

        With `order`, the figure must be by the Rényi filter sealed at that order. Raises Wrong
        where the figure is not the ε of this history, TooLarge where that cannot be decided.
        """
        said, delta, accountant = self._read(figure)
        sealed_at = sealed_order(figure)
        if order is not None and (accountant, sealed_at) != ("rdp", order):
            raise Wrong(f"it was not judged by the Rényi filter at the sealed order {order:g}")
        derived, above = self.interval(accountant, spent, delta, sealed_at)
        self.checked += 1
        words = f"ε = {said:.6g} at δ = {delta:g} ({accountant})"
        if said < derived.low - above[2]:
            raise Wrong(f"it says {words}, but its events cost at least {derived.low:.6g}")
        if said > derived.high * (1.0 + above[0]) + above[1]:
            raise Wrong(f"it says {words}, but its events cost at most {derived.high:.6g}")
        return derived

    def check_largest(self, figure: Any, spent: list[History]) -> Interval:
        """As `check`, for the largest ε of several histories."""
        _, delta, accountant = self._read(figure)
        at = sealed_order(figure)
        found = [self.interval(accountant, each, delta, at)[0].high for each in spent]
        return self.check(figure, spent[found.index(max(found))])

    def check_divergence(self, body: Any, left: History, order: float, more: float) -> None:
        """Whether a row gives back exactly the Rényi divergence of `left`, and `more`."""
        said, cost = decimal(body, "rdp_returned"), self._renyi.at(left, order) + more
        if abs(said - cost) > RENYI_TOLERANCE * max(cost, 1.0):
            raise Wrong(f"it returns {said:.6g} at order {order:g}, what is left costs {cost:.6g}")

    def divergence(self, spent: History, order: float) -> float:
        """What a history costs in a filter's currency: its Rényi divergence at one order."""
        return self._renyi.at(spent, order)

    def interval(
        self, accountant: str, spent: History, delta: float, order: float | None = None
    ) -> tuple[Interval, tuple[float, float, float]]:
        """ε by one accountant; how far above (relative, absolute) and below a figure may lie."""
        if accountant == "rdp":
            found = self._renyi.epsilon(spent, delta, order)
            slack = RENYI_TOLERANCE * max(found, 1.0)
            above = 1e-3 if any(rows > 1 for _, _, rows in spent) else 0.0
            return Interval(found, found), (above, slack, slack)
        if accountant not in TOLERANCES:
            raise Unknown(f"the accountant {accountant!r}")
        return self._composer.epsilon(spent, delta), (*TOLERANCES[accountant], 1e-9)

    @staticmethod
    def _read(figure: Any) -> tuple[float, float, str]:
        said, delta = decimal(figure, "epsilon"), decimal(figure, "delta")
        if not 1e-10 <= delta < 1.0:
            raise Wrong(f"δ is {delta!r}, outside 1e-10 to 1")
        return said, delta, pick(figure, "accountant", str)


def sealed_order(figure: Any) -> float | None:
    """The order at which a filter judged, where a figure names one. Raises Wrong."""
    found = SEALED_ORDER.fullmatch(str(figure.get("discretisation", "")))
    if found is None:
        return None
    order = float(found.group(1)) if found.group(1).count(".") < 2 else 0.0
    if order not in ORDERS:
        raise Wrong(f"the order {found.group(1)} is none of those that a filter may have")
    return order


def check_shown(figure: Any, where: str) -> None:
    """The rounded figure, which people read, is not below the exact one. Raises Wrong."""
    try:
        rounded_down = Decimal(pick(figure, "shown", str)) < Decimal(pick(figure, "epsilon", str))
    except InvalidOperation:
        raise Wrong(f"of {where} it shows an ε that is no number") from None
    if rounded_down:
        raise Wrong(f"of {where} it shows ε = {figure['shown']}, less than {figure['epsilon']}")
