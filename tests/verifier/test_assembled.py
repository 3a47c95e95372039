"""The one file: current, legible on Python 3.9, and at work where nothing else is installed."""

import ast
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from accounting.services.hub_key import hub_key
from accounting.verifier.assembling import FILE, FOLDER, ORDER, Clash, assembled
from tests.verifier import bundles

# Runs a file in an interpreter that finds the standard library and one folder more.
ALONE = "import runpy, sys; sys.path.append(sys.argv.pop(1)); sys.argv.pop(0); "
ALONE += "runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture
def lonely(tmp_path):
    """Runs the verifier with `python -I -S` in an empty folder, with `cryptography` alone."""
    packages, empty = tmp_path / "packages", tmp_path / "empty"
    packages.mkdir()
    empty.mkdir()
    for name in ("cryptography", "cffi", "_cffi_backend"):
        found = find_spec(name)
        if found is not None:
            home = Path(found.origin)
            home = home.parent if home.name == "__init__.py" else home
            (packages / home.name).symlink_to(home)

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-I", "-S", "-c", ALONE, str(packages), str(FILE), *arguments]
        environment = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, timeout=120
        )

    return run


def test_the_file_is_current():
    assert FILE.read_text() == assembled(), "run python manage.py generate"


def test_every_part_is_in_it():
    parts = {path.stem for path in (FOLDER / "parts").glob("*.py")} - {"__init__"}
    assert set(ORDER) == parts


def test_it_is_python_3_9_and_imports_nothing_of_ours():
    tree = ast.parse(FILE.read_text(), feature_version=(3, 9))
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    foreign = {name for name in modules if name.split(".")[0] not in sys.stdlib_module_names}
    assert foreign == {
        "cryptography.exceptions",
        "cryptography.hazmat.primitives.asymmetric.ed25519",
    }


def test_two_parts_cannot_define_one_name(tmp_path, monkeypatch):
    (tmp_path / "parts").mkdir()
    for name in ("one", "two"):
        (tmp_path / "parts" / f"{name}.py").write_text('"""Part."""\n\nSAME = 1\n')
    monkeypatch.setattr("accounting.verifier.assembling.FOLDER", tmp_path)
    monkeypatch.setattr("accounting.verifier.assembling.ORDER", ("one", "two"))
    with pytest.raises(Clash, match=r"SAME stands in one\.py and in two\.py"):
        assembled()


@pytest.mark.django_db
def test_it_works_alone(lonely, honest, tmp_path):
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(honest))
    answer = lonely(str(file), "--key", hub_key().public)
    assert answer.stderr == ""
    assert answer.returncode == 0, answer.stdout
    assert "The bundle holds." in answer.stdout
    number = bundles.number_of(honest, "lost")
    file.write_text(json.dumps(bundles.changed(honest, number, kind="released")))
    answer = lonely(str(file))
    assert (answer.returncode, answer.stderr) == (1, "")
    assert f"✗ transitions              entry {number}: " in answer.stdout


def test_it_says_how_to_call_it(lonely):
    answer = lonely("--help")
    assert answer.returncode == 0
    assert "1 something is wrong" in answer.stdout
    assert lonely("--key", "abc", "x").returncode == 2
