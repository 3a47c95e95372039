"""Runs the study of one file on this machine, one real worker process per institution."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.launch.installation import enter
from config.launch.ports import NotAnswering, PortTaken
from config.launch.session import speaker
from config.launch.simulation import Request, simulate
from config.launch.sites import SiteFailed
from federation.learning import architectures, strategies
from federation.protocol import plans
from federation.protocol.study_file import StudyFile, StudyFileError, example, read
from federation.site.fitting import check_file
from federation.site.rowstore import RowsUnwritable
from studies.services.errors import Refused

TEMPORARY = "CLOISTER_SIMULATION_FOLDER"
INSTALLATION = "CLOISTER_INSTALLATION"


class Command(BaseCommand):
    help = (
        "Run a study file with real processes: the hub and one worker per institution. Prints one "
        "row per round; exit code 0 only when every round ran and the ledger verifies."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", nargs="?", type=Path, help="the study file (TOML)")
        parser.add_argument("--json", type=Path, help="also write the summary to this file")
        parser.add_argument("--out", type=Path, help="also write report, ledger and model here")
        parser.add_argument("--folder", type=Path, help="keep the installation in this folder")
        parser.add_argument("--port", type=int, default=0, help="the hub's port on loopback")
        parser.add_argument("--epsilon", type=float, help="another target ε than the file's")
        parser.add_argument("--example", action="store_true", help="print a commented study file")

    def handle(self, **options: Any) -> None:
        if options["example"]:
            self.stdout.write(example())
            return
        if options["study"] is None:
            raise CommandError("name a study file, or print one with --example")
        file = _read(options["study"], options["epsilon"])
        folder, temporary = _folder(options["folder"])
        try:
            installation = enter(folder, options["port"])
            request = Request(file, installation, options["json"], options["out"])
            complete = simulate(request, speaker(self.stdout))
        except (NotAnswering, PortTaken, SiteFailed, Refused) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            if temporary:
                shutil.rmtree(folder, ignore_errors=True)
        if not complete:
            sys.exit(1)


def _read(path: Path, target_epsilon: float | None) -> StudyFile:
    """The study file, checked to the last row of its data before any process starts."""
    once = INSTALLATION not in os.environ  # the command starts itself anew, see `enter`
    checks = (architectures.check, strategies.check, plans.seal) if once else ()
    try:
        held = check_file if once else None
        return read(path, target_epsilon=target_epsilon, checks=checks, check_data=held)
    except (StudyFileError, RowsUnwritable) as error:
        raise CommandError(str(error)) from error


def _folder(given: Path | None) -> tuple[Path, bool]:
    """The installation's folder, and whether it goes when the command ends.

    The command starts itself anew inside the installation's environment (see `enter`), so a
    temporary folder's name is handed on in the environment.
    """
    if given is not None:
        return given.resolve(), False
    if TEMPORARY not in os.environ:
        os.environ[TEMPORARY] = tempfile.mkdtemp(prefix="cloister-")
    return Path(os.environ[TEMPORARY]), True
