"""Which engines compute clipped gradients: one file each, found by listing this folder.

A new engine is one new file with a module-level `ENGINE` that keeps the promise of `Engine`. All
give the same sums within float32; the contract tests run against each.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

import structlog
import torch
from torch import nn

from federation.learning.layout import Layout
from federation.learning.losses import Loss

__all__ = ["Engine", "Gradients", "UnknownEngine", "chosen", "get", "names"]

log = structlog.get_logger()
FALLBACK = "opacus"


class UnknownEngine(ValueError):
    """No engine of this name is installed."""


class Gradients(Protocol):
    """The gradients of one module, by privacy unit.

    A batch is `features` [rows, …], `targets` int64 [rows] and the `layout` of its rows in units.
    Parameters stand one after the other in the order of `module.parameters()`. A row whose
    gradient is not finite counts as zero before any norm is taken: otherwise one record could
    destroy the model, which would tell that it is there.
    """

    row_bytes: int  # of memory that a row takes while its chunk is computed, about

    def clipped_sum(
        self, features: torch.Tensor, targets: torch.Tensor, layout: Layout, max_grad_norm: float
    ) -> torch.Tensor:
        """[parameters]: each unit's summed gradient scaled to norm <= max_grad_norm."""
        ...

    def per_unit(
        self, features: torch.Tensor, targets: torch.Tensor, layout: Layout
    ) -> torch.Tensor:
        """float64 [units, parameters]: each unit's summed gradient, not clipped."""
        ...


class Engine(Protocol):
    """What each file here promises."""

    name: str
    title: str
    description: str

    def refuses(self, module: nn.Module, example: torch.Tensor) -> str | None:
        """Why this engine cannot train the module, or None. `example` is input, [2, …]."""
        ...

    def gradients(self, module: nn.Module, loss: Loss, example: torch.Tensor) -> Gradients:
        """The gradients of `module`, whose weights may change in place between the calls."""
        ...


@cache
def names() -> tuple[str, ...]:
    """The installed engines, sorted."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def get(name: str) -> Engine:
    """The engine of that name. Raises UnknownEngine, which lists the names."""
    if name not in names():
        raise UnknownEngine(
            f"training.engine: no engine is called {name!r}; choose one of: {', '.join(names())}"
        )
    found: Engine = import_module(f"{__name__}.{name}").ENGINE
    return found


def chosen(name: str, module: nn.Module, example: torch.Tensor) -> Engine:
    """That engine, or Opacus for the whole model where it cannot train it, which is logged."""
    engine = get(name)
    reason = engine.refuses(module, example)
    if reason is None:
        return engine
    # The reason is of the module's making: no row has been seen.
    log.warning("engine_fell_back", engine=name, to=FALLBACK, reason=reason)
    return get(FALLBACK)
