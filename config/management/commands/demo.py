"""Starts the demonstration: the hub and four hospitals, and waits for people in the browser."""

import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.launch.demonstration import prepare, welcome
from config.launch.installation import ROOT, enter
from config.launch.ports import NotAnswering, PortTaken
from config.launch.session import running_hub, speaker
from config.launch.sites import SiteFailed
from federation.protocol.study_file import read


class Command(BaseCommand):
    help = "Start the hub and the sites of the demonstration study; Ctrl-C stops them all."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        default = ROOT / "demo" / "heart_disease" / "study.toml"
        parser.add_argument("--study", type=Path, default=default)
        parser.add_argument("--folder", type=Path, default=ROOT / "var" / "demo")
        parser.add_argument("--port", type=int, default=0)

    def handle(self, **options: Any) -> None:
        say = speaker(self.stdout)
        file = read(options["study"])
        try:
            installation = enter(options["folder"].resolve(), options["port"], preferred=8000)
            with running_hub(installation, say) as supervisor:
                logins, study = prepare(installation, file, supervisor)
                say(welcome(installation, logins, study, file))
                while True:
                    for name in supervisor.watch():
                        self.stderr.write(f"{name} ended and is started again")
                    time.sleep(0.2)
        except (NotAnswering, PortTaken, SiteFailed) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            say("stopped; `make demo` continues where it was")
            sys.exit(0)
