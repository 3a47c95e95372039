"""`manage.py epsilon`: derive ε again, outside the pages, from numbers or an exported history."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounting.dp import accountants, histories
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure

_SINGLE = ("noise_multiplier", "sample_rate", "steps")


class Command(BaseCommand):
    help = (
        "Print the epsilon of a history of releases, and the accountant that derived it. Give "
        "--noise-multiplier, --sample-rate and --steps for one kind of step, or --history FILE."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--noise-multiplier", type=float, metavar="NOISE")
        parser.add_argument("--sample-rate", type=float, metavar="RATE")
        parser.add_argument("--steps", type=int)
        parser.add_argument(
            "--history",
            metavar="FILE",
            help="a JSON list of objects with noise_multiplier, sample_rate and steps; - reads "
            "standard input",
        )
        parser.add_argument("--delta", type=float, required=True)
        parser.add_argument("--accountant", choices=accountants.names(), default="pld")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            events = _events(options)
            figure = accountants.epsilon(events, options["delta"], options["accountant"])
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_document(figure) if options["json"] else sentence(figure, events))


def sentence(figure: Figure, events: tuple[PrivacyEvent, ...]) -> str:
    """The figure for people: ε rounded up, with all that it means nothing without."""
    units = " and ".join(sorted({event.unit for event in events})) or "row"
    steps = sum(event.steps for event in events)
    return (
        f"ε = {figure.shown()} at δ = {figure.delta:g}, for adding or removing one {units}, after "
        f"{steps} step{'' if steps == 1 else 's'}; accountant: {figure.version}, "
        f"{figure.discretisation}; rounded up."
    )


def _document(figure: Figure) -> str:
    """One line of JSON, floats at full precision."""
    return json.dumps(
        {
            "epsilon": figure.epsilon,
            "delta": figure.delta,
            "accountant": figure.accountant,
            "version": figure.version,
        }
    )


def _events(options: dict[str, Any]) -> tuple[PrivacyEvent, ...]:
    given = [name for name in _SINGLE if options[name] is not None]
    if options["history"] is not None:
        if given:
            raise ValueError(f"give either --history or {_flags(given)}, not both")
        return histories.parse(_text(options["history"]))
    missing = [name for name in _SINGLE if options[name] is None]
    if missing:
        raise ValueError(f"{_flags(missing)} is missing; give it, or give --history FILE instead")
    return (histories.event(*(options[name] for name in _SINGLE)),)


def _flags(names: list[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _text(path: str) -> str:
    return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
