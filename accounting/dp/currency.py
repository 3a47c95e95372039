"""The currency in which an RDP filter counts: Rényi divergence at one order, which simply adds up.

What a study sealed and never reserved can be returned in it exactly; ε and δ cannot be subtracted
(a filter's budget is spent at its order: Feldman and Zrnic 2021, arXiv 2008.11193).
"""

from collections.abc import Iterable

import numpy as np

from accounting.dp.accountants import rdp
from accounting.dp.events import PrivacyEvent, merged


def renyi(events: Iterable[PrivacyEvent], order: float) -> float:
    """The composed Rényi divergence of `events` at `order`, in nats; 0.0 for no events.

    Raises ValueError for an order that is not one of `rdp.ORDERS`.
    """
    at = np.flatnonzero(np.equal(rdp.ORDERS, order))
    if at.size == 0:
        raise ValueError(f"order {order} is not on the grid; name one of accountants.rdp.ORDERS")
    history = merged(events)
    return float(rdp.composed(history)[at[0]]) if history else 0.0
