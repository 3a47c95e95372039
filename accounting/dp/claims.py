"""Which ε may be claimed of a history, what was spent of it so far, and what a budget still holds.

Where every parameter was sealed before the first release, PLD bounds what was done. Where anybody
could choose after seeing a release, no accountant bounds what happened to be done (arXiv
2602.06756); what holds is what a Rényi filter let pass at most, at an order sealed with its budget
(Feldman and Zrnic 2021, arXiv 2008.11193). Then the sum so far is an odometer: it may be shown,
never claimed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from accounting.dp.accountants import epsilon
from accounting.dp.currency import renyi
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.dp.filters import divergence_limit, proved


@dataclass(frozen=True)
class Filter:
    """What may pass at most: the Rényi divergence that proves (epsilon, delta) at `order`."""

    epsilon: float
    delta: float
    order: float

    @property
    def divergence(self) -> float:
        """The most that it lets pass, in nats at its order."""
        return divergence_limit(self.epsilon, self.delta, self.order)


@dataclass(frozen=True)
class Claim:
    """One history: `claimed` may be said of it, `spent` is the sum so far by the same accountant.

    They are one figure unless `by` names the filter that kept the history.
    """

    claimed: Figure
    spent: Figure
    by: Filter | None = None
    divergence: float = 0.0  # spent, in nats at the filter's order

    @property
    def is_odometer(self) -> bool:
        """Whether `spent` may be shown only, and not claimed."""
        return self.by is not None

    @property
    def divergence_left(self) -> float:
        """What the filter still lets pass, in its own currency; 0 where there is none."""
        return max(0.0, self.by.divergence - self.divergence) if self.by else 0.0

    def left(self, budget: float) -> float:
        """ε of `budget` above what was spent; by a filter, converted at its order."""
        return max(0.0, budget - self.spent.epsilon)


def claim(events: Iterable[PrivacyEvent], delta: float, by: Filter | None = None) -> Claim:
    """What may be claimed of `events` at `delta`; `by` where they were chosen on the way.

    Nothing spent costs nothing, whoever chose it. Raises as `accountants.epsilon`.
    """
    history = tuple(events)
    if by is None or not history:
        figure = epsilon(history, delta)
        return Claim(figure, figure)
    spent = renyi(history, by.order)
    return Claim(_most(spent, delta, by), proved(spent, delta, by.order), by, spent)


def passed(events: Sequence[PrivacyEvent], by: Filter) -> float:
    """The Rényi divergence at the filter's order that a history has at most.

    That of the filter, or what was spent where the budget was lowered below it since.
    """
    return max(by.divergence, renyi(events, by.order)) if events else 0.0


def widest(filters: Iterable[Filter]) -> Filter:
    """Of the limits that one filter had in its life, the one that lets most pass: it may be
    claimed whatever was decided in between. Raises ValueError where there is none."""
    return max(filters, key=lambda each: each.divergence)


def _most(spent: float, delta: float, by: Filter) -> Figure:
    if spent > by.divergence:
        return proved(spent, delta, by.order)
    found = proved(by.divergence, delta, by.order)
    exact = by.epsilon if delta == by.delta else found.epsilon  # no rounding on its own budget
    version, words = found.version, found.discretisation
    return Figure(exact, delta, found.accountant, version, words)
