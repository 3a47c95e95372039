"""Which aggregation strategies exist: one file each, found by listing this folder (numpy only).

A new strategy is one new file with a module-level `STRATEGY` that keeps the promise of `Strategy`.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol as Promise

from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors

__all__ = ["Strategy", "StrategyError", "UnknownStrategy", "check", "get", "names"]


class StrategyError(ValueError):
    """The protocol names a strategy that cannot be, or not with its other settings."""


class UnknownStrategy(StrategyError):
    """No strategy of this name is installed."""


class Strategy(Promise):
    """What each file here promises: pure functions of the model and what the sites released.

    What is given out may be more than the model: tensors of the strategy's own, made of nothing
    but released updates. Sites get the corresponding zeros to begin their own with.
    """

    name: str
    title: str
    description: str
    continues: bool  # whether a site goes on from what its last used contribution left there

    def refuses(self, protocol: Protocol) -> str | None:
        """Why it cannot serve this protocol and what to do, going on after its name."""
        ...

    def begun(self, model: Tensors) -> Tensors:
        """What round 1 gives out: the model, and whatever else, all zero."""
        ...

    def model(self, given: Tensors) -> Tensors:
        """The model in what is given out."""
        ...

    def aggregate(
        self, given: Tensors, updates: Mapping[str, Tensors], weights: Mapping[str, float]
    ) -> Tensors:
        """What the next round gives out: same names, shapes and dtypes.

        `updates` are named and shaped as the model. `weights` has every site of `updates`, and
        all others that were asked; `given` is begun anew whenever others are asked.

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


def check(protocol: Protocol) -> None:
    """Raise StrategyError when the protocol's strategy is unknown, or refuses the protocol."""
    chosen = get(protocol.aggregation.strategy)
    reason = chosen.refuses(protocol)
    if reason is not None:
        raise StrategyError(f"aggregation.strategy: {chosen.name!r} {reason}")
