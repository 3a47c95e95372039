"""A protocol as the text of a study file."""

from collections.abc import Sequence
from typing import Any

import tomli_w

from federation.protocol.document import Member, Protocol
from federation.protocol.study_sections import InstitutionEntry

WIDEST_LINE = 100
_PLAIN = ("model", "training", "privacy", "aggregation", "rounds", "evaluation", "audit")


def write(protocol: Protocol, institutions: Sequence[InstitutionEntry] = ()) -> str:
    """The protocol as a study file, without its sealed plan: `parse` gives it back, equal."""
    document = protocol.model_dump(mode="json", exclude_none=True, exclude={"plan", "cohort"})
    data = document["data"]
    columns, target = data.pop("columns"), data.pop("target")
    study = {key: document[key] for key in ("name", "purpose")}
    known = {entry.slug: entry for entry in institutions}
    return "\n".join(
        [
            _toml({"study": study, "data": data}),
            *(f"[[data.column]]\n{_toml(column)}" for column in columns),
            f"[data.target]\n{_toml(target)}",
            _toml({key: document[key] for key in _PLAIN if key in document}),
            *(_institution(member, known.get(member.institution)) for member in protocol.cohort),
        ]
    )


def _institution(member: Member, entry: InstitutionEntry | None) -> str:
    name = entry.name if entry else member.institution
    table: dict[str, Any] = {"name": name, "slug": member.institution}
    table["cohort_size"] = member.cohort_size
    if member.machine:
        table["machine"] = member.machine
    if entry and entry.data:
        table["data"] = str(entry.data)
    if entry:
        table["dataset"] = entry.dataset
    text = f"[[institution]]\n{_toml(table)}"
    if entry and entry.limits:
        text += f"\n[institution.limits]\n{_toml(entry.limits)}"
    return text


def _toml(table: dict[str, Any]) -> str:
    """TOML with short lists on one line; tomli_w gives every element a line of its own."""
    lines: list[str] = []
    pending: list[str] = []
    # tomli_w writes multi-line strings only on demand, so a key's line ends in "[" only where a
    # list begins, and a line that is a bracket only where it ends.
    for line in tomli_w.dumps(table).rstrip("\n").split("\n"):
        pending.append(line)
        inside = len(pending) > 1 or line.endswith(" = [")
        if not inside or line == "]":
            lines += _joined(pending)
            pending = []
    return "\n".join(lines) + "\n"


def _joined(lines: list[str]) -> list[str]:
    text = lines[0]
    for line in lines[1:]:
        piece = line.strip()
        if piece.startswith("]"):
            text = text.removesuffix(",") + piece
        else:
            text += piece if text.endswith("[") else f" {piece}"
    return [text] if len(text) <= WIDEST_LINE else lines
