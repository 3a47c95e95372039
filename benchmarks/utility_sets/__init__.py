"""Which real data sets utility is measured on: one file each, found by listing this folder.

A file has a module-level `SET`. What is in it (columns, bounds, scales, sites, split) is public by
declaration; settings were chosen on a fifth of the training rows unless its note says otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np

from federation.protocol import plans
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol

__all__ = ["DataSet", "Settings", "Site", "get", "names", "subset"]

Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class Site:
    """One institution's rows: what it trains on, and what its own patients are tested on."""

    train: Encoded
    test: Encoded

    @property
    def declared(self) -> int:
        """A round cohort size, as an institution would declare instead of its exact count."""
        count = self.train.n_units
        step = 10 ** max(0, len(str(count)) - 2)
        return max(1, round(count / step) * step)


@dataclass(frozen=True)
class Settings:
    """What was chosen for one model at one ε."""

    rounds: int
    learning_rate: float
    sample_rate: float
    local_steps: int = 1
    max_grad_norm: float = 1.0
    more: Numbers = field(default_factory=dict)  # further keys of the protocol's training section

    def training(self, seed: int) -> dict[str, Any]:
        """The protocol's training section."""
        return {
            "sample_rate": self.sample_rate,
            "local_steps": self.local_steps,
            "learning_rate": self.learning_rate,
            "max_grad_norm": self.max_grad_norm,
            "seed": seed,
            **self.more,
        }


@dataclass(frozen=True)
class DataSet:
    """A task: its data contract, where its sites come from, its models and their settings.

    `load` takes the folder of the data sets. `settings` has one entry for each model (a label)
    and, in it, one for each target ε; `models` the protocol's model section for each label.
    `rules` give a score, float64 [rows], without any training: what a model has to beat.
    """

    title: str
    delta: float
    contract: Numbers
    load: Callable[[Path], Mapping[str, Site]]
    models: Mapping[str, Numbers]
    settings: Mapping[str, Mapping[float, Settings]]
    rules: Mapping[str, Callable[[Encoded], np.ndarray]] = field(default_factory=dict)

    def protocol(
        self, label: str, chosen: Settings, target: float, cohort: Mapping[str, int], seed: int
    ) -> Protocol:
        """The sealed protocol of one training; an infinite target leaves the noise to be ignored.

        `cohort` declares the size of each institution.
        """
        free = target == np.inf
        privacy = {"noise_multiplier": 1.0} if free else {"target_epsilon": target}
        return plans.seal(
            Protocol(
                name=self.title,
                data=self.contract,
                model=self.models[label],
                training=chosen.training(seed),
                privacy=privacy | {"target_delta": self.delta},
                rounds={"count": chosen.rounds},
                cohort=[{"institution": name, "cohort_size": n} for name, n in cohort.items()],
            )
        )


@cache
def names() -> tuple[str, ...]:
    """The data sets, sorted."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def get(name: str) -> DataSet:
    """The data set of that name."""
    found: DataSet = import_module(f"{__name__}.{name}").SET
    return found


def subset(data: Encoded, units: Sequence[int] | np.ndarray) -> Encoded:
    """The rows of those units, numbered anew."""
    numbers = np.full(data.n_units, -1)
    numbers[units] = np.arange(len(units))
    rows = numbers[data.units] >= 0
    return Encoded(data.features[rows], data.targets[rows], numbers[data.units[rows]], len(units))
