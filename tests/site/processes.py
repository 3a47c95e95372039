"""Starts the site worker as a process of its own, watched from its first line."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from federation.site.folder import Folder
from federation.site.journal import read_entries

ROOT = Path(__file__).parents[2]
BLOCKING = Path(__file__).parent / "blocking"


@dataclass
class Worker:
    """A running `python -m federation.site run`."""

    process: subprocess.Popen[bytes]
    log: Path
    record: Path

    def terminate(self, seconds: float) -> int:
        """SIGTERM; the exit code. Raises TimeoutExpired when it takes longer."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def said(self) -> str:
        return self.log.read_text()

    def recorded(self) -> str:
        return self.record.read_text() if self.record.exists() else ""


# Kills itself, as kill -9 does, when the named method of a part is called.
SUICIDE = """
import importlib, os, signal, sys
from federation.site.cli import main
module, owner, method = sys.argv.pop(1).split(":")
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(getattr(importlib.import_module(module), owner), method, die)
sys.exit(main())
"""


def start(folder: Folder, *, die_at: str = "", more: Mapping[str, str] | None = None) -> Worker:
    """Start a worker; `die_at` is module:Class:method."""
    log, record = folder.path / "worker.log", folder.path / "record.txt"
    command = [sys.executable, *(["-c", SUICIDE, die_at] if die_at else ["-m", "federation.site"])]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{BLOCKING}{os.pathsep}{ROOT}",
        "OMP_NUM_THREADS": "1",
        "CLOISTER_TEST_RECORD": str(record),
        # A site must not be led away by what its machine's environment says.
        "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        **(more or {}),
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, "run", "--folder", str(folder.path)],
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder.path,
        )
    return Worker(process, log, record)


def eventually(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Wait until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def journal_kinds(folder: Folder) -> list[str]:
    return [entry.kind for entry in read_entries(folder.journal)]
