"""Writes the files that are derived from code; --check says whether they are current."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounting.reports.schema import schema
from accounting.verifier import assembling
from config.launch.installation import ROOT
from federation.learning import architectures
from federation.protocol.study_file import example
from studies.states import PARTICIPATION_MOVES, STUDY_MOVES, Move

NOTE = "<!-- Written by `python manage.py generate`; change the code, not this page. -->\n"


class Command(BaseCommand):
    help = "Write the pages of docs/ and the stand-alone verifier from the code they come from."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing, only compare")

    def handle(self, **options: Any) -> None:
        stale = [path for path, text in pages().items() if not _is(path, text)]
        if options["check"] and stale:
            names = ", ".join(path.name for path in stale)
            raise CommandError(f"{names} not current; run python manage.py generate")
        for path in stale:
            path.write_text(pages()[path])
            self.stdout.write(f"wrote {path.relative_to(ROOT)}")


def pages() -> dict[Path, str]:
    """Each generated file and what it must say."""
    return {
        ROOT / "docs" / "architectures.md": architectures_page(),
        ROOT / "docs" / "states.md": states_page(),
        ROOT / "docs" / "study-file.md": study_file_page(),
        ROOT / "docs" / "report.schema.json": schema_text(),
        assembling.FILE: assembling.assembled(),
    }


def schema_text() -> str:
    """The JSON Schema of the ε report."""
    return f"{json.dumps(schema(), indent=2, ensure_ascii=False)}\n"


def architectures_page() -> str:
    """A card for each installed architecture."""
    cards = [_card(architectures.get(name)) for name in architectures.names()]
    return "\n".join(("# Architectures", NOTE, _ARCHITECTURES, *cards))


_ARCHITECTURES = (
    "What `[model]` of a study file may name. Each is one file in "
    "`federation/learning/architectures`; nothing is ever loaded from uploaded code. All normalise "
    "within one row only (GroupNorm, never BatchNorm), and all are trained by the book-keeping "
    "engine.\n\n"
    "Loss and metrics follow from the target, whatever the architecture. Classes: cross-entropy "
    "(two classes: on one logit); accuracy, AUC, sensitivity, specificity and calibration, for "
    "more than two classes accuracy and recalls. A number: half the squared error of the scaled "
    "value; mean absolute error, its root mean square, and the bias. At the sites all of them come "
    "from one noised histogram, on public rows from the predictions themselves.\n"
)


def _card(one: architectures.Architecture) -> str:
    rules = one.Parameters.model_json_schema()["properties"]
    rows = [
        f"| `{key}` | `{json.dumps(rule['default'])}` | {rule['description']} |"
        for key, rule in rules.items()
    ]
    presets = [
        f"{name} (`{json.dumps(values)}`)" if values else name
        for name, values in one.presets.items()
    ]
    table = ["| parameter | default | meaning |\n|---|---|---|", *rows, ""] if rows else []
    return "\n".join(
        [
            f"## {one.title}: `{one.name}`\n",
            f"{one.description} **When:** {one.when} It reads {one.takes}.\n",
            *table,
            f"Presets: {', '.join(presets)}. Source: {one.source}.\n",
        ]
    )


def states_page() -> str:
    """The two state machines, each as a diagram and as its table."""
    return "\n".join(
        (
            "# The life of a study",
            NOTE,
            *_machine("Study", STUDY_MOVES, "draft"),
            *_machine("Participation", PARTICIPATION_MOVES, "invited"),
        )
    )


def _machine(title: str, moves: tuple[Move, ...], first: str) -> list[str]:
    arrows = [f"  {o} --> {m.to}: {m.action} ({m.who})" for m in moves for o in m.origins]
    rows = [f"| {m.action} | {', '.join(m.origins)} | {m.to} | {m.who} |" for m in moves]
    return [
        f"## {title}\n",
        "```mermaid\nstateDiagram-v2",
        f"  [*] --> {first}",
        *arrows,
        "```\n",
        "| action | from | to | who |\n|---|---|---|---|",
        *rows,
        "",
    ]


def study_file_page() -> str:
    """The commented example, which the reader itself accepts."""
    return (
        f"# The study file\n{NOTE}\nOne TOML document says everything about a study. "
        "`python manage.py simulate study.toml` runs it on one machine; the browser imports and "
        "exports the same. A mistake is answered with the key and the line. "
        "`python manage.py simulate --example` prints this one:\n\n"
        f"```toml\n{example().strip()}\n```\n"
    )


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text
