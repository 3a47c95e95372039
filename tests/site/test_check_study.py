"""`check --study FILE`: any site can hold a study file against the hub's rules and its own rows."""

from pathlib import Path
from typing import Any

import pytest

from federation.protocol import study_file
from federation.protocol.document import Protocol
from federation.protocol.keys import SigningKey
from federation.site.cli import main
from federation.site.folder import Folder
from tests.site.conftest import CONFIG, patients, study

FITS = "dataset heart for study Heart study: fits the data contract"


@pytest.fixture
def lender(tmp_path: Path) -> Folder:
    """A site that lends a file and knows no hub yet."""
    folder = Folder(tmp_path / "site")
    folder.create()
    SigningKey.generate().save(folder.key)
    folder.config.write_text(CONFIG)
    (folder.path / "heart.csv").write_text(patients())
    return folder


@pytest.fixture
def said(lender: Folder, capsys: pytest.CaptureFixture[str]) -> Any:
    """What `check --study` of that text prints, and what it complains of at once."""

    def said(text: str) -> tuple[str, str]:
        path = lender.path / "study.toml"
        path.write_text(text)
        assert main(["check", "--folder", str(lender.path), "--study", str(path)]) == 1
        found = capsys.readouterr()
        return found.out, found.err

    return said


def exported(**changes: Any) -> str:
    """The study as the hub's page gives it out: without anybody's data file."""
    protocol: Protocol = study(**changes)
    return study_file.write(protocol)


def test_what_the_hub_exports_is_held_against_the_rows(said: Any) -> None:
    assert FITS in said(exported())[0]


def test_files_of_others_are_not_looked_for(said: Any) -> None:
    text = exported() + 'data = "/their/own.csv"\n'
    text = text.replace("[evaluation]\n", '[evaluation]\npublic_file = "/hub/only.csv"\n')
    assert FITS in said(text)[0]


SGD = {"sample_rate": 0.5, "local_steps": 4, "learning_rate": 0.5, "max_grad_norm": 1.0}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"model": {"architecture": "nope"}}, "model.architecture"),
        ({"model": {"architecture": "mlp", "parameters": {"hidden": [0]}}}, "model.parameters"),
        ({"model": {"architecture": "lstm"}}, "model.architecture"),
        (
            {"aggregation": {"strategy": "scaffold"}, "training": SGD | {"optimiser": "adam"}},
            "training.optimiser",
        ),
        (
            {"privacy": {"target_epsilon": 1e-4, "target_delta": 1e-9}},
            "privacy.target_epsilon",
        ),
    ],
)
def test_what_the_hub_would_refuse_is_refused_here(said: Any, changes: Any, key: str) -> None:
    out, err = said(exported(**changes))
    assert not out
    assert err.startswith("study.toml, line ")
    assert key in err


def test_a_study_file_that_is_not_there(lender: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    absent = str(lender.path / "absent.toml")
    assert main(["check", "--folder", str(lender.path), "--study", absent]) == 1
    assert "absent.toml cannot be read (No such file" in capsys.readouterr().err
