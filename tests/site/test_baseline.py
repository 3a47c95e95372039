"""`baseline` shows a site its own figures beside the federated ones, and lets nothing out."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from federation.learning import personal
from federation.learning.initial import initial_tensors
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors, pack
from federation.site.assembly import Site
from federation.site.cli import main
from federation.site.folder import Folder
from federation.site.journal import read_entries
from tests.site.conftest import study
from tests.site.hub import Hub
from tests.site.playing import play_one
from tests.site.processes import BLOCKING, ROOT

EVALUATED = {"every": 3, "holdout": 0.25, "noise_multiplier": 4.0}
TRAINING = {"sample_rate": 0.5, "local_steps": 20, "learning_rate": 2.0, "max_grad_norm": 1.0}
OWN = {"architecture": "mlp", "parameters": {"hidden": [6]}, "personal_layers": 1}


@pytest.fixture
def known(hub: Hub, folder: Folder, assembled: Callable[[Folder], Site]) -> Callable[..., Protocol]:
    """known(section=…): a study that this site took part in once; no worker is running."""

    def take_part(name: str = "heart-study", **sections: object) -> Protocol:
        protocol = study(**{"training": TRAINING} | sections)
        hub.approve(protocol, study=name)
        uid = hub.assign(protocol, personal.first(protocol).shared, study=name)
        assert play_one(assembled(folder), hub, uid)
        return protocol

    return take_part


def ask(folder: Folder, *more: object) -> int:
    return main(["baseline", "--folder", str(folder.path), *map(str, more)])


def figures(shown: str) -> dict[str, list[str]]:
    """The lines of the table by what they are of."""
    lines = [line for line in shown.splitlines() if line.endswith(tuple("0123456789–"))]
    return {line[:26].strip(): line[26:].split() for line in lines}


def saved(tmp_path: Path, tensors: Tensors) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(pack(tensors))
    return path


def by_age(sign: float) -> Tensors:
    """A model that says ill from 55 years on, or the contrary: just what the made-up rows do."""
    weight = np.zeros((1, 4), np.float32)
    weight[0, 0] = 100 * sign
    return {"weight": weight, "bias": np.array([100 * sign * 5 / 60], np.float32)}


def test_it_stands_beside_the_federated_model(
    folder: Folder, known: Callable[..., Protocol], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    known()
    assert ask(folder, "--model", saved(tmp_path, by_age(1))) == 0
    shown = capsys.readouterr().out
    found = figures(shown)
    assert list(found) == [
        "before training",
        "alone, without noise",
        "alone, the study's noise",
        "federated",
    ]
    assert found["before training"][1] == "0.500"  # the AUC of a model that knows nothing
    assert float(found["alone, without noise"][1]) > 0.9
    assert found["federated"][1] == "1.000"
    assert "25% of your units" in shown
    assert "For your own eyes" in shown
    assert "nothing is charged" in shown
    capsys.readouterr()
    assert ask(folder, "--model", saved(tmp_path, by_age(-1))) == 0
    assert figures(capsys.readouterr().out)["federated"][1] == "0.000"


def test_of_several_classes_it_shows_the_recall_of_each(
    folder: Folder, known: Callable[..., Protocol], capsys: pytest.CaptureFixture
) -> None:
    data = study().data.model_dump(mode="json")
    data["target"] |= {"classes": [["0"], ["1"], ["2"]], "names": ["well", "ill", "gravely ill"]}
    known(data=data)
    assert ask(folder) == 0
    shown = capsys.readouterr().out
    assert "accuracy     log loss      of well       of ill of gravely i\n" in shown
    accuracy, _, well, ill, gravely = figures(shown)["alone, without noise"]
    assert all(0 <= float(rate) <= 1 for rate in (accuracy, well, ill))
    assert gravely == "–"  # the rows have nobody of that class


def test_own_layers_stand_behind_the_downloaded_ones(
    folder: Folder, known: Callable[..., Protocol], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    protocol = known(model=OWN)
    assert ask(folder, "--model", saved(tmp_path, personal.first(protocol).shared)) == 0
    found = figures(capsys.readouterr().out)
    # Its own layers have trained for a round; those of the first model know nothing.
    assert found["federated"] != found["before training"]
    assert ask(folder, "--model", saved(tmp_path, initial_tensors(protocol))) == 1
    assert "is no model of this study" in capsys.readouterr().err


def test_without_a_holdout_it_makes_one_and_says_who_saw_it(
    folder: Folder, known: Callable[..., Protocol], capsys: pytest.CaptureFixture
) -> None:
    known(evaluation={})
    assert ask(folder) == 0
    shown = capsys.readouterr().out
    assert "The study holds nothing out. Measured on 20% of your units" in shown
    assert "add --model FILE" in shown
    assert "federated" not in figures(shown)


def test_nothing_leaves_is_logged_charged_or_left_behind(
    folder: Folder, known: Callable[..., Protocol], hub: Hub, tmp_path: Path
) -> None:
    """In a process of its own, in which each connection would be written down."""
    known(model=OWN)
    before, journal = contents(folder), read_entries(folder.journal)
    record = tmp_path / "record.txt"
    done = subprocess.run(
        [sys.executable, "-m", "federation.site", "baseline", "--folder", str(folder.path)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{BLOCKING}{os.pathsep}{ROOT}",
            "OMP_NUM_THREADS": "1",
            "CLOISTER_TEST_RECORD": str(record),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "alone, without noise" in done.stdout
    assert done.stderr == ""
    assert "socket.connect" not in record.read_text()
    assert read_entries(folder.journal) == journal
    assert contents(folder) == before


def contents(folder: Folder) -> dict[str, bytes]:
    """Every file but the database's own side files and the lock, with its bytes."""
    return {
        str(path.relative_to(folder.path)): path.read_bytes()
        for path in folder.path.rglob("*")
        if path.is_file() and not path.name.startswith(("journal.sqlite3-", "site.lock"))
    }


def test_no_part_of_it_can_send() -> None:
    source = (ROOT / "federation/site/baseline.py").read_text()
    for part in ("transport", "egress", "assembly", "structlog", "logging", "statements"):
        assert part not in source


def test_a_running_worker_is_not_disturbed(
    folder: Folder, known: Callable[..., Protocol], capsys: pytest.CaptureFixture
) -> None:
    known()
    with folder.alone():
        assert ask(folder) == 1
    assert "another site worker already runs" in capsys.readouterr().err


def test_which_study_has_to_be_said_where_there_are_several(
    folder: Folder, known: Callable[..., Protocol], capsys: pytest.CaptureFixture
) -> None:
    assert ask(folder) == 1
    assert "none is known here yet" in capsys.readouterr().err
    known()
    known("other-study", purpose="another")
    assert ask(folder) == 1
    assert "--study: heart-study, other-study" in capsys.readouterr().err
    assert ask(folder, "--study", "nowhere") == 1
    assert ask(folder, "--study", "other-study") == 0


@pytest.mark.parametrize("damage", ["no file", "no model", "no rows", "no dataset"])
def test_what_is_missing_is_said(
    folder: Folder,
    known: Callable[..., Protocol],
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    damage: str,
) -> None:
    known()
    model = saved(tmp_path, by_age(1))
    if damage == "no file":
        model.unlink()
    if damage == "no model":
        model.write_bytes(b"nonsense")
    if damage == "no rows":
        (folder.path / "heart.csv").write_text("age\n3\n")
    if damage == "no dataset":
        folder.config.write_text("")
    assert ask(folder, "--model", model) == 1
    said = capsys.readouterr()
    assert said.err
    assert "alone" not in said.out
