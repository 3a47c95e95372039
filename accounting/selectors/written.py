"""Events as the ledger's rows hold them, each read once: a long ledger repeats a few."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from accounting.dp.events import PrivacyEvent
from accounting.selectors.histories import price_of


def event(document: Mapping[str, Any]) -> PrivacyEvent:
    """An event from a row's body.

    Raises:
        ValueError: it cannot be priced, or its numbers have another form than the ledger's own,
            which running sums by text would take for another price.
        TypeError: it holds something other than texts and numbers.
    """
    return _read(tuple(document.items()))


@lru_cache(maxsize=8192)
def _read(items: tuple[tuple[str, Any], ...]) -> PrivacyEvent:
    document = dict(items)
    found = PrivacyEvent.from_json(document)
    if price_of(found)[:2] != (document["noise_multiplier"], document["sample_rate"]):
        raise ValueError("the numbers of its event are not written as the ledger writes them")
    return found
