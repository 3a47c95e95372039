"""How sums are added up and noised: one file for each grade of noise the ledger knows.

A grade keeps the sum of one logical batch over its chunks, and releases it with one draw of noise.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, reduce
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

import torch

from federation.learning.engines import Gradients
from federation.learning.layout import Layout

__all__ = ["Chunk", "Grade", "NoisedSum", "get", "names", "summed"]


@dataclass(frozen=True)
class Chunk:
    """The rows of some whole units."""

    features: torch.Tensor
    targets: torch.Tensor
    layout: Layout


class NoisedSum(Protocol):
    """The clipped sum of one logical batch, added chunk by chunk, and then released once."""

    row_bytes: int

    def add(self, chunk: Chunk) -> None:
        """Add each unit's gradient, clipped to the bound."""
        ...

    def add_unit(self, blocks: Iterable[Chunk]) -> None:
        """Add one unit with too many rows for a chunk: its blocks summed, then clipped."""
        ...

    def release(self, noise_multiplier: float, denominator: float) -> torch.Tensor:
        """float64 [parameters]: the sum with one fresh draw of noise, over `denominator`.

        The next sum starts at 0.
        """
        ...


class Grade(Protocol):
    """What each file here promises, as a module-level `GRADE`; `event` is the ledger's word."""

    name: str
    title: str
    description: str
    event: str

    def sum(self, gradients: Gradients, size: int, max_grad_norm: float) -> NoisedSum:
        """An empty sum over `size` parameters, with a noise stream of its own."""
        ...


def summed(gradients: Gradients, blocks: Iterable[Chunk]) -> torch.Tensor:
    """float64 [1, parameters]: the gradient of the one unit that all blocks belong to."""
    parts = (gradients.per_unit(b.features, b.targets, b.layout) for b in blocks)
    return reduce(torch.Tensor.add_, parts)


@cache
def names() -> tuple[str, ...]:
    """The installed grades, sorted."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


@cache
def get(name: str) -> Grade:
    """The grade of that name. Raises ValueError, which lists the names."""
    if name not in names():
        raise ValueError(
            f"training.noise: no grade is called {name!r}; choose one of: {', '.join(names())}"
        )
    found: Grade = import_module(f"{__name__}.{name}").GRADE
    return found
