"""`manage.py verify_ledger`: recompute the ledger from nothing and say what is wrong first."""

import json
import sys

from django.core.management.base import BaseCommand, CommandParser

from accounting.services import checkpoints
from accounting.services.verification import verify


class Command(BaseCommand):
    help = (
        "Recomputes every digest, Merkle root, signature, transition, budget check and ε of the "
        "privacy ledger. Exit code 0 when all agree; 1 and the first wrong entry when not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--hub-key",
            default="",
            metavar="HEX",
            help="the public key that signed the checkpoints, for a copy without the hub's own",
        )
        parser.add_argument(
            "--sign", action="store_true", help="sign a checkpoint of the head if all agrees"
        )

    def handle(self, *args: object, **options: object) -> None:
        verdict = verify(str(options["hub_key"]))
        text = json.dumps(verdict.to_json()) if options["json"] else verdict.sentence()
        self.stdout.write(text)
        if not verdict.ok:
            sys.exit(1)
        if options["sign"]:
            word = checkpoints.issue().checkpoint
            self.stdout.write(f"signed: {word.size} entries, root {word.root}")
