"""A hub restored from an older copy: every site refuses, people look, and nothing is forgotten."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.running import ROOT, environment

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> dict:
    folder: Path = tmp_path_factory.mktemp("restoring") / "installation"
    finished = subprocess.run(
        [sys.executable, "-m", "tests.system.restoring", str(folder)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    return json.loads(finished.stdout.splitlines()[-1])


def test_every_site_refuses_and_computes_nothing(day):
    assert day["remembered"] < min(day["charged_before"].values())
    assert set(day["charged_while_refusing"].values()) == {0}, day
    assert day["witness_failed"] == ["site-a", "site-b"], "and the hub's officers are told"


def test_its_people_see_both_checkpoints_and_what_to_do(day):
    assert day["told"] == [1, 1]
    for words in day["words"]:
        assert "restored from an old backup" in words
        assert words.count('"signature"') >= 2
        assert "--accept" in words
    assert day["accepted"] == [0, 0]


def test_the_study_goes_on(day):
    assert day["closed_since"] >= 1, day
    assert day["verified"], day["verdict"]
    assert "uncharged" in day["differences"], "the hub is told what it forgot"


def test_nothing_that_a_site_charged_is_forgotten(day):
    """The hub forgot rounds and the sites did not: their charges end the study at its budget."""
    assert day["kept"]
    assert day["uncharged"] == []
    assert day["remembered"] + 2 <= max(day["charges"].values()) <= day["room"], day
    assert day["status"] != "completed", day
    assert day["sums"], day
    assert all(hub >= site for hub, site in day["sums"]), "the hub booked what it had forgotten"
