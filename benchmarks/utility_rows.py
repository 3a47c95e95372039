"""Rows of published files as sites' training and test rows: encoded by contract, split in public.

Every split is decided by a hash of what a row holds, so that it can be repeated anywhere.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks.utility_sets import Site
from federation.protocol.contract import encode
from federation.protocol.csv_file import TEXT, needed_columns
from federation.protocol.document import DataContract

Row = Mapping[str, str]
Place = Callable[[Row], tuple[str, bool]]


def coin(text: str, purpose: str) -> float:
    """A public number in [0, 1) for this text: the same wherever and whenever it is thrown."""
    found = hashlib.sha256(f"{purpose}\0{text}".encode()).digest()
    return int.from_bytes(found[:8], "big") / 2**64


def dealt(text: str, shares: Mapping[str, float]) -> str:
    """One of the names, with the probability that `shares` gives it (they add up to 1)."""
    thrown, names = coin(text, "site"), list(shares)
    ends = np.cumsum(list(shares.values()))
    return names[min(int(np.searchsorted(ends, thrown, side="right")), len(names) - 1)]


def sites(rows: Iterable[Row], contract: Mapping[str, Any], place: Place) -> dict[str, Site]:
    """The sites as they first occur; `place` says whose a row is, and whether it is a test row."""
    declared = DataContract.model_validate(contract)
    kept: dict[str, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for row in rows:
        name, test = place(row)
        kept[name][test].append(row)
    return {
        name: Site(
            *(encode(_columns(part, declared), declared, keyed_order=None) for part in parts)
        )
        for name, parts in kept.items()
    }


def _columns(rows: list[Row], contract: DataContract) -> dict[str, Any]:
    names = needed_columns(contract)
    return {name: np.array([row[name] for row in rows], dtype=TEXT) for name in names}
