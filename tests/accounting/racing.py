"""Many processes writing to one ledger at the same moment, as the hub's workers do.

`race(jobs)` starts one program on the test's own database (race_jobs.py); it forks one process per
list of jobs, lets them go together, and brings back what each job came to.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 90
PROGRAM = (
    "import django, runpy; django.setup(); "
    "runpy.run_module('tests.accounting.race_jobs', run_name='__main__')"
)
Job = dict[str, Any]  # "act" is seal or reserve; the rest names what


@dataclass(frozen=True)
class Worker:
    """One process: when it ran (one clock for all) and, per job, an entry's number or a refusal."""

    began: float
    ended: float
    answers: list[int | str]


def race(jobs: list[list[Job]], warm: int) -> list[Worker]:
    """Run each list of jobs in its own process; `warm` rounds are priced beforehand."""
    environment = os.environ | {
        "CLOISTER_DATABASE_URL": address(),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps({"jobs": jobs, "warm": warm}),
        env=environment,
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Worker(**worker) for worker in json.loads(done.stdout)]


def address() -> str:
    """The address of the database that this test writes to."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    server, _, _ = os.environ["CLOISTER_DATABASE_URL"].rpartition("/")
    return f"{server}/{name}"
