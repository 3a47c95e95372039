"""Figures of merged histories, remembered by what they are made of.

Verification meets the same history once per row and site; asking the accountants' own memory would
merge and hash the whole history at each row, this compares plain tuples.
"""

from functools import lru_cache

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.dp.filters import Verdict
from accounting.keys import Limit
from accounting.selectors import judging
from accounting.selectors.histories import Merged, Price

Items = tuple[tuple[Price, int], ...]  # Merged.key()


@lru_cache(maxsize=2048)
def figure(items: Items, delta: float) -> Figure:
    """ε of a history. Raises as `accountants.epsilon`."""
    return epsilon(history(items), delta)


@lru_cache(maxsize=4096)
def judged(items: Items, limit: Limit, order: float | None) -> Verdict:
    """What the gate says of a history. Raises as `judging.judge`."""
    return judging.judge(history(items), limit, order)


@lru_cache(maxsize=2048)
def history(items: Items) -> tuple[PrivacyEvent, ...]:
    """The events of a history. Raises ValueError for one that cannot be priced."""
    return Merged(list(items)).events()
