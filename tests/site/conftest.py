"""A started hub, an enrolled site with a small file of patients, and a sealed protocol."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import structlog

from federation.protocol.document import Protocol
from federation.site.assembly import Site, assemble
from federation.site.enrol import enrol
from federation.site.folder import Folder
from tests.site.hub import Hub

CONFIG = """
[[dataset]]
name = "heart"
file = "heart.csv"
lineage = "heart-patients"
lifetime_epsilon = 20.0
lifetime_delta = 1e-5

[limits]
max_epsilon_per_study = 12.0
"""
ROUNDS = 3


def study(**changes: object) -> Protocol:
    """A sealed protocol for three small columns; `changes` replace whole sections."""
    sections = {
        "name": "Heart study",
        "data": {
            "columns": [
                {"name": "age", "low": 0, "high": 120},
                {"name": "pressure", "low": 50, "high": 250},
                {"name": "pain", "kind": "category", "categories": ["none", "some"]},
            ],
            "target": {"column": "disease", "classes": [["0"], ["1"]]},
        },
        "model": {"architecture": "logistic"},
        "training": {
            "sample_rate": 0.5,
            "local_steps": 4,
            "learning_rate": 0.5,
            "max_grad_norm": 1.0,
        },
        "privacy": {"noise_multiplier": 2.0, "target_delta": 1e-5},
        "rounds": {"count": ROUNDS},
        "evaluation": {"every": 3, "holdout": 0.25, "noise_multiplier": 4.0},
        "cohort": [
            {"institution": "north", "cohort_size": 60},
            {"institution": "south", "cohort_size": 60},
        ],
        "plan": {
            "noise_multipliers": [2.0] * ROUNDS,
            "epsilon": "9",
            "accountant": "pld",
            "version": "test",
        },
    }
    return Protocol.model_validate(sections | changes)


def model() -> dict[str, np.ndarray]:
    """The tensors that round 1 starts from: age, pressure and two categories into one logit."""
    return {"weight": np.zeros((1, 4), np.float32), "bias": np.zeros(1, np.float32)}


def patients(count: int = 80) -> str:
    """A CSV that fits `study`'s contract."""
    rng = np.random.default_rng(7)
    lines = ["age,pressure,pain,disease"]
    for _ in range(count):
        age, pressure = rng.integers(20, 90), rng.integers(90, 200)
        pain = ("none", "some")[rng.integers(2)]
        lines.append(f"{age},{pressure},{pain},{int(age > 55)}")
    return "\n".join(lines) + "\n"


@dataclass
class Clock:
    """A clock that a test can move."""

    offset: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A command run inside a test sets logging up for a process of its own."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def folder(hub: Hub, tmp_path: Path) -> Folder:
    """An enrolled folder with a configuration and a data file."""
    folder = Folder(tmp_path / "site")
    enrol(folder, url=hub.url, token="token-1")
    folder.config.write_text(CONFIG)
    (folder.path / "heart.csv").write_text(patients())
    return folder


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def assembled(clock: Clock) -> Iterator[Callable[[Folder], Site]]:
    """Builds sites and closes what they opened."""
    sites: list[Site] = []

    def build(folder: Folder) -> Site:
        sites.append(assemble(folder, clock))
        return sites[-1]

    yield build
    for site in sites:
        site.close()
        site.client.close()


@pytest.fixture
def site(folder: Folder, assembled: Callable[[Folder], Site]) -> Site:
    return assembled(folder)
