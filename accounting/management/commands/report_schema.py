"""`manage.py report_schema`: print the JSON Schema of the ε report, as docs/ has it."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from accounting.reports.schema import schema


class Command(BaseCommand):
    help = "Print the JSON Schema that every report keeps to: > docs/report.schema.json"
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False))
