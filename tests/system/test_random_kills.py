"""200 random kill −9: nothing leaves uncharged, and hub and sites agree to the last step."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.postgresql import PostgreSQL
from tests.system.running import ROOT, environment

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture
def postgresql():
    folder = Path(tempfile.mkdtemp(prefix="cloister-kills-"))  # its user may not enter pytest's
    server = PostgreSQL(folder / "postgresql")
    server.start()
    yield {"CLOISTER_DATABASE_URL": server.url}
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def sqlite() -> dict[str, str]:
    return {}  # the installation's own default


def forked(folder: Path, kills: int, settings: dict[str, str]) -> dict:
    seed = int.from_bytes(os.urandom(4))
    finished = subprocess.run(
        [sys.executable, "-m", "tests.system.forkyard", str(folder), str(kills), str(seed)],
        cwd=ROOT,
        env=environment() | settings,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert finished.returncode == 0, f"seed {seed}: {finished.stderr[-4000:]}"
    return json.loads(finished.stdout.splitlines()[-1]) | {"seed": seed}


@pytest.mark.parametrize(("database", "kills"), [("sqlite", 120), ("postgresql", 80)])
def test_whatever_is_killed_the_charges_stand(database, kills, tmp_path, request):
    end = forked(tmp_path / "yard", kills, request.getfixturevalue(database))
    assert sum(end["killed"].values()) == kills, end
    assert end["wrong"] == []
    assert (end["differences"], end["sums"]) == ([], []), end
    assert (end["hub_only"], end["site_only"], end["unequal"]) == ([], [], []), end
    assert end["verified"], end["verdict"]
    assert end["rounds"] >= 3, end  # or the kills met an installation that stood still
    assert end["hub"] >= 3 * end["rounds"]
