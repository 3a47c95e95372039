"""`manage.py verify_ledger`: recompute the ledger from nothing and say what is wrong first."""

import json
import sys

from django.core.management.base import BaseCommand, CommandParser

from accounting.services.verification import verify


class Command(BaseCommand):
    help = (
        "Recomputes every digest, transition, budget check and ε of the privacy ledger. "
        "Exit code 0 when all agree; 1 and the first wrong entry when not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: object, **options: object) -> None:
        verdict = verify()
        text = json.dumps(verdict.to_json()) if options["json"] else verdict.sentence()
        self.stdout.write(text)
        if not verdict.ok:
            sys.exit(1)
