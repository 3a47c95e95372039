"""A program that was asked to stop looks through nothing once more: with torch that is a second."""

import subprocess
import sys

import pytest

from tests.system.running import ROOT, environment

# What is registered first runs last.
LAST = "import atexit, gc, runpy, sys; atexit.register(lambda: print(gc.get_freeze_count() > 0)); "
HUB = "import config"
SITE = "sys.argv = ['site', 'journal']; runpy.run_module('federation.site', run_name='__main__')"


@pytest.mark.parametrize("program", [HUB, SITE], ids=["hub", "site"])
def test_it_ends_at_once(program, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", LAST + program],
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "True"
