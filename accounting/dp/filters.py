"""Whether a history still fits a limit: asked before a round may run."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from accounting.dp import accountants
from accounting.dp.accountants import rdp
from accounting.dp.events import PrivacyEvent, merged
from accounting.dp.figures import Figure, Unbounded, bounded, check_delta


@dataclass(frozen=True)
class Verdict:
    """Whether `figure` is within `limit`; the figure says which accountant decided."""

    fits: bool
    figure: Figure
    limit: float


def spent(events: Iterable[PrivacyEvent], delta: float) -> Figure:
    """What a history cost, by the reference accountant. Raises as `accountants.epsilon`."""
    return accountants.epsilon(events, delta, "pld")


def fits(events: Iterable[PrivacyEvent], epsilon_limit: float, delta: float) -> Verdict:
    """Whether a history *fixed beforehand* stays within (epsilon_limit, delta).

    RDP is an upper bound and costs microseconds: where it fits, no more is asked. Otherwise PLD
    decides. For parameters chosen after looking at earlier results use `fits_adaptively`.

    Raises:
        ValueError: delta or the limit is out of range.
        Unbounded: RDP does not fit and PLD finds no bound.
    """
    history = merged(events)
    _check_limit(epsilon_limit)
    quick = _quick(history, delta)
    if quick is not None and quick.epsilon <= epsilon_limit:
        return Verdict(True, quick, epsilon_limit)
    figure = spent(history, delta)
    return Verdict(figure.epsilon <= epsilon_limit, figure, epsilon_limit)


def fits_adaptively(
    events: Iterable[PrivacyEvent], epsilon_limit: float, delta: float, order: float
) -> Verdict:
    """Whether a history stays within the limit although its parameters were chosen on the way.

    A Rényi filter at one order sealed in advance (Feldman and Zrnic 2021, arXiv 2008.11193):
    `order` is one of `rdp.ORDERS` and must not change while the budget lives. Raises ValueError
    for another order.
    """
    check_delta(delta)
    _check_limit(epsilon_limit)
    spent = float(rdp.composed(merged(events))[_place(order)])
    figure = proved(spent, delta, order)
    return Verdict(figure.epsilon <= epsilon_limit, figure, epsilon_limit)


def proved(divergence: float, delta: float, order: float) -> Figure:
    """The ε that a Rényi divergence of at most `divergence` at one `order` proves at `delta`.

    Raises ValueError for an order that is not on the grid.
    """
    check_delta(delta)
    place = _place(order)
    epsilon = float(rdp.to_epsilons(np.full_like(rdp.ORDERS, divergence), delta)[place])
    words = f"order {order:g}, sealed in advance"
    return Figure(bounded(epsilon, "rdp"), delta, "rdp", rdp.RdpAccountant.version, words)


def room(events: Iterable[PrivacyEvent], epsilon_limit: float, delta: float, order: float) -> float:
    """The Rényi divergence at `order` that (epsilon_limit, delta) still admits after `events`.

    The currency of a budget: divergences at one order add up, so what a study did not use may be
    given back in it. Negative by as much as the history is over. Raises as `fits_adaptively`.
    """
    check_delta(delta)
    _check_limit(epsilon_limit)
    spent = float(rdp.composed(merged(events))[_place(order)])
    return divergence_limit(epsilon_limit, delta, order) - spent


def divergence_limit(epsilon_limit: float, delta: float, order: float) -> float:
    """The largest Rényi divergence at `order` that still proves (epsilon_limit, delta).

    The inverse of `rdp.to_epsilons` at that order.
    """
    converted = epsilon_limit - math.log1p(-1 / order) + math.log(delta * order) / (order - 1)
    free = -math.log1p(-delta * delta)  # below it, δ ≤ √(1 − exp(−KL)) proves ε = 0
    return max(converted, free)


def whole_budget(epsilon_limit: float, delta: float, order: float) -> float:
    """What a study may come to whose own filter keeps (epsilon_limit, delta), counted at `order`.

    Rényi divergence in nats. Divergences rise with the order, so what its filter lets pass at its
    own best order bounds every lower one. At a higher one it is what full batches would come to.
    """
    own = best_order(epsilon_limit, delta)
    return divergence_limit(epsilon_limit, delta, own) * max(1.0, order / own)


def filling(divergence: float, order: float) -> float:
    """The noise multiplier of the one full-batch Gaussian step that has this divergence at `order`.

    A Gaussian step costs α / 2σ² at order α. Stands for what is committed and not chosen yet.
    """
    return math.sqrt(order / (2 * divergence))


def best_order(epsilon_limit: float, delta: float) -> float:
    """The Rényi order at which a budget admits most Gaussian noise-ratio: fixed by (ε, δ) alone.

    A Gaussian mechanism costs α·ρ at order α, so the best order has the largest ρ that still
    converts to ε (the conversion of `rdp.to_epsilons`).
    """
    orders = rdp.ORDERS
    room = epsilon_limit - np.log1p(-1 / orders) + np.log(delta * orders) / (orders - 1)
    return float(orders[int(np.argmax(room / orders))])


def _place(order: float) -> int:
    at = np.flatnonzero(np.equal(rdp.ORDERS, order))
    if at.size == 0:
        raise ValueError(f"order {order} is not on the grid; seal one of accountants.rdp.ORDERS")
    return int(at[0])


def _quick(history: tuple[PrivacyEvent, ...], delta: float) -> Figure | None:
    try:
        return accountants.epsilon(history, delta, "rdp")
    except Unbounded:
        return None


def _check_limit(epsilon_limit: float) -> None:
    if not epsilon_limit > 0:
        raise ValueError(f"epsilon_limit is {epsilon_limit!r}; give a number greater than 0")
