"""Running an installation's commands as real processes, and reading what they left behind."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("study", "round", "attempt", "phase")


def environment() -> dict[str, str]:
    """This process's environment without what pytest set for the hub."""
    return {key: value for key, value in os.environ.items() if not key.startswith("CLOISTER_")}


@dataclass
class Simulation:
    """A running `manage.py simulate`; `folder` is its installation."""

    process: subprocess.Popen[str]
    folder: Path
    summary_file: Path

    def finish(self, seconds: float = 180) -> str:
        """Wait for the end and return what it printed."""
        output, _ = self.process.communicate(timeout=seconds)
        return output

    @property
    def summary(self) -> dict:
        return json.loads(self.summary_file.read_text())

    def rows(self, query: str) -> list[tuple]:
        """Read the hub's database from outside, as an auditor could."""
        path = self.folder / "hub" / "hub.sqlite3"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def pid(self, name: str) -> int:
        return self.pids()[name]

    def pids(self) -> dict[str, int]:
        """What runs now, by name; nothing before the first has started."""
        record = self.folder / "processes.json"
        return json.loads(record.read_text()) if record.exists() else {}

    def wait_for_round(self, number: int, seconds: float = 90) -> None:
        """Return once that round is open (or later)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._reached(number):
                return
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(0.02)
        raise AssertionError(f"round {number} did not open in {seconds} s")

    def _reached(self, number: int) -> bool:
        try:
            found = self.rows("select max(number) from federation_round")
        except sqlite3.OperationalError:  # no such database or table yet
            return False
        return (found[0][0] or 0) >= number

    def hub_charges(self) -> set[tuple]:
        """(institution, study, round, attempt, phase, lineage, event) of all the hub charged."""
        query = (
            "select institution, study, round, attempt, phase, lineage, body from accounting_entry"
            " where kind = 'reserved' and (institution, study, round, attempt, phase) in (select"
            " institution, study, round, attempt, phase from accounting_entry"
            " where kind = 'charged')"
        )
        return {(*row[:-1], in_order(json.loads(row[-1])["event"])) for row in self.rows(query)}

    def site_charges(self) -> set[tuple]:
        """The same from the sites' own journals, read with the site's own command."""
        charges = set()
        for folder in sorted((self.folder / "sites").iterdir()):
            for entry in site_journal(folder):
                if entry["kind"] == "charged":
                    place = (folder.name, *(entry[part] for part in PARTS), entry["lineage"])
                    charges.add((*place, in_order(entry["event"])))
        return charges


def in_order(event: dict) -> tuple:
    """All that an event says, in a form that sets can hold."""
    return tuple(sorted(event.items()))


def site_journal(folder: Path) -> list[dict]:
    """What `python -m federation.site journal --json` prints in that site's folder."""
    result = subprocess.run(
        [sys.executable, "-m", "federation.site", "journal", "--json", "--folder", str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment(),
    )
    return json.loads(result.stdout)


def start_simulation(study: Path, folder: Path, *arguments: str) -> Simulation:
    """Start `manage.py simulate` on `study` with its installation in `folder`."""
    summary = folder.parent / f"{folder.name}.json"
    process = subprocess.Popen(
        [
            *(sys.executable, "manage.py", "simulate", str(study)),
            *("--folder", str(folder), "--json", str(summary), *arguments),
        ],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Simulation(process, folder, summary)
