"""A long round is cancelled while real sites train: they stop, it stays charged, the study ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.site.processes import eventually
from tests.system.running import ROOT, Simulation, site_journal, start_simulation
from tests.system.small_study import write_small_study

pytestmark = pytest.mark.system
SITES = ("site-a", "site-b")
STEPS = 80_000  # some seconds of them
PRIVACY = "noise_multiplier = 600.0\nepsilon_budget = 40.0"
CANCEL = """
import time
import django
django.setup()
from django.db.models import F
from federation.models import Assignment
from federation.services.cancelling import CannotCancel, Wish, cancel
from studies.models import Study
at_work = Assignment.objects.filter(step__gt=0, step__lt=F("steps"))
end = time.monotonic() + 120
while at_work.count() < 2 and time.monotonic() < end:
    time.sleep(0.05)
study = Study.objects.get()
for _ in range(2):
    try:
        cancel(study, Wish(1, 1, "the wrong clip", False), by=study.lead)
        print("cancelled")
    except CannotCancel:
        print("too late")
"""


def at_hub(simulation: Simulation, script: str) -> subprocess.Popen[str]:
    """Start it in the environment of the hub's own web process.

    It waits for sites that train itself, since starting takes longer than they might.
    """
    eventually(lambda: "web" in simulation.pids(), "the hub's web process", 60)
    found = Path(f"/proc/{simulation.pid('web')}/environ").read_bytes().split(b"\0")
    environment = dict(line.split(b"=", 1) for line in found if b"=" in line)
    environment[b"DJANGO_SETTINGS_MODULE"] = b"config.settings"
    command = [sys.executable, "-c", script]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def kinds(simulation: Simulation, slug: str, attempt: int) -> list[str]:
    rows = site_journal(simulation.folder / "sites" / slug)
    return [row["kind"] for row in rows if row["attempt"] == attempt]


def test_a_round_is_cancelled_while_its_sites_train(tmp_path):
    study = write_small_study(
        tmp_path / "study", letters="ab", rounds=1, privacy=PRIVACY, steps=STEPS
    )
    simulation = start_simulation(study, tmp_path / "installation")
    canceller = at_hub(simulation, CANCEL)
    assert canceller.communicate(timeout=150)[0].splitlines() == ["cancelled", "too late"]
    stopped = ["charged", "refused", "acknowledged"]
    for slug in SITES:
        eventually(lambda slug=slug: kinds(simulation, slug, 1) == stopped, f"{slug} stops", 60)
    output = simulation.finish()
    assert simulation.process.returncode == 0, output
    assert simulation.summary["ledger_ok"] is True
    assert simulation.hub_charges() == simulation.site_charges()
    attempts = sorted((row[0], row[3]) for row in simulation.hub_charges())
    assert attempts == [("site-a", 1), ("site-a", 2), ("site-b", 1), ("site-b", 2)]
    lost = "select institution from accounting_entry where kind = 'lost' order by 1"
    assert simulation.rows(lost) == [("site-a",), ("site-b",)]
    assert kinds(simulation, "site-a", 2) == ["charged", "released", "acknowledged"]
