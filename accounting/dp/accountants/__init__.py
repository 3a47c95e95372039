"""Which accountants exist: one file each, named as people name it, loaded when asked for.

A new accountant is one new file `NAME.py` with a class `NameAccountant` that keeps the promise
of `Accountant`. Pages, commands and the contract tests find it by listing this folder; nothing
is imported until somebody asks for it by name (one of them pulls in torch).
"""

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

from accounting.dp.events import Price, PrivacyEvent, priced, prices
from accounting.dp.figures import Figure, Unbounded, check_delta

__all__ = ["Accountant", "Figure", "Unbounded", "UnknownAccountant", "epsilon", "get", "names"]


class UnknownAccountant(ValueError):
    """No accountant of this name is installed."""


class Accountant(Protocol):
    """Derives ε from events. Composes all of them; an empty history costs 0.

    `version` says whose code it is and which; `error` says in words how far above the truth a
    figure may be.
    """

    name: str
    version: str
    discretisation: str
    error: str

    def epsilon(self, events: Sequence[PrivacyEvent], delta: float) -> Figure:
        """The ε of all events together at `delta`.

        Raises:
            ValueError: delta is below 1e-10 or not below 1.
            Unbounded: no finite bound was found.
        """
        ...


@cache
def names() -> tuple[str, ...]:
    """The installed accountants, without importing them."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


@cache
def get(name: str) -> Accountant:
    """The accountant of that name. Raises UnknownAccountant, which lists the names."""
    if name not in names():
        raise UnknownAccountant(
            f"no accountant is called {name!r}; choose one of: {', '.join(names())}"
        )
    module = import_module(f"{__name__}.{name}")
    accountant: Accountant = getattr(module, f"{name.title().replace('_', '')}Accountant")()
    return accountant


def epsilon(events: Iterable[PrivacyEvent], delta: float, accountant: str = "pld") -> Figure:
    """The composed ε of a history: merged first, remembered, the same wherever it is shown.

    Raises:
        ValueError: delta is out of range.
        UnknownAccountant: no such accountant.
        Unbounded: the accountant found no finite bound.
    """
    return _remembered(prices(events), check_delta(delta), accountant)


@lru_cache(maxsize=4096)
def _remembered(history: tuple[Price, ...], delta: float, accountant: str) -> Figure:
    return get(accountant).epsilon(priced(history), delta)
