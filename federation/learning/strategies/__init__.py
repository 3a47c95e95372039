"""Which aggregation strategies exist: one file each, found by listing this folder (numpy only).

A new strategy is one new file with a module-level `STRATEGY` that keeps the promise of `Strategy`.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

from federation.protocol.tensors import Tensors

__all__ = ["Strategy", "UnknownStrategy", "get", "names"]


class UnknownStrategy(ValueError):
    """No strategy of this name is installed."""


class Strategy(Protocol):
    """What each file here promises: a pure function of the model and what the sites released."""

    name: str
    title: str
    description: str

    def aggregate(
        self, model: Tensors, updates: Mapping[str, Tensors], weights: Mapping[str, float]
    ) -> Tensors:
        """The next model: same names, shapes and dtypes. `weights` has every site of `updates`.

        Raises:
            ValueError: there is no update, or the weights do not add up to more than zero.
        """
        ...


@cache
def names() -> tuple[str, ...]:
    """The installed strategies, sorted."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


@cache
def get(name: str) -> Strategy:
    """The strategy of that name. Raises UnknownStrategy, which lists the names."""
    if name not in names():
        raise UnknownStrategy(
            f"aggregation.strategy: no strategy is called {name!r}; choose one of: "
            f"{', '.join(names())}"
        )
    found: Strategy = import_module(f"{__name__}.{name}").STRATEGY
    return found
