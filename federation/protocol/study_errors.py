"""One clear message for a mistake in a study file: file, line, key, and what to do."""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from federation.protocol.study_sections import known_keys
from federation.protocol.toml_lines import KeyPath, line_of

# Where the protocol document and the file's layout differ.
RENAMED = {
    ("name",): ("study", "name"),
    ("purpose",): ("study", "purpose"),
    ("data", "columns"): ("data", "column"),
    ("cohort",): ("institution",),
}

# "model.parameters.hidden: must …; model.parameters.width: …"
_FOREIGN = re.compile(r"([a-z_]+(?:\.\w+)+): (.*?)(?:; [a-z_]+(?:\.\w+)+: .*)?", re.DOTALL)

_MISSING_TABLES: dict[KeyPath, str] = {
    ("data", "column"): "missing; write a [[data.column]] table for each feature",
    ("data", "target"): "missing; write a [data.target] table with column and classes",
}

_TYPES = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


class StudyFileError(ValueError):
    """The study file cannot be used; the text names the file, the line, the key and the remedy."""

    def __init__(self, file: str, line: int | None, key: str, advice: str) -> None:
        where = f"{file}, line {line}" if line else file
        super().__init__(f"{where}: {key}: {advice}" if key else f"{where}: {advice}")
        self.file = file
        self.line = line
        self.key = key
        self.advice = advice


@dataclass(frozen=True)
class Source:
    """A study file's text as read: its name, its tables and the line of each key."""

    file: str
    raw: Mapping[str, Any]
    lines: dict[KeyPath, int]
    length: int

    def error(self, path: KeyPath, advice: str) -> StudyFileError:
        """The error at `path`; a section that is not there is missed at the file's end."""
        line = line_of(self.lines, path) or (self.length if path else None)
        return StudyFileError(self.file, line, self._key(path), advice)

    def told(self, text: str) -> StudyFileError:
        """The error of a rule elsewhere, whose text begins with a dotted key; its first only."""
        found = _FOREIGN.fullmatch(text)
        if found is None:
            return StudyFileError(self.file, None, "", text)
        parts = found[1].split(".")
        return self.error(tuple(int(p) if p.isdigit() else p for p in parts), found[2])

    def _key(self, path: KeyPath) -> str:
        """`data.column[4].low (column 'chol')`: places counted from 1."""
        text = ""
        for part in path:
            text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
        return text + self._named(path)

    def _named(self, path: KeyPath) -> str:
        for end, part in enumerate(path):
            if isinstance(part, int):
                entry = at(self.raw, path[: end + 1])
                name = entry.get("name") if isinstance(entry, dict) else None
                return f" ({path[end - 1]} {name!r})" if isinstance(name, str) else ""
        return ""

    def check_keys(self, path: KeyPath) -> None:
        """Raise for the first key of the table at `path` that has no meaning there."""
        table = at(self.raw, path)
        if isinstance(table, dict):
            known = known_keys(path, table.get("kind"))
            for key in table:
                if key not in known:
                    raise self.error((*path, key), unknown_key(key, known))

    def refusal(self, error: ValidationError, prefix: KeyPath = ()) -> StudyFileError:
        """The first mistake among those that the checks found; unknown keys before all others.

        `prefix` is where in the file the checked table stands; () for the protocol itself.
        """
        grouped: dict[KeyPath, list[Any]] = defaultdict(list)
        for entry in error.errors(include_url=False):
            grouped[self._path((*prefix, *entry["loc"]), entry)].append(entry)
        whole = [path for path in grouped if not _has_inner(path, grouped)]
        first = min(whole, key=lambda path: self._rank(path, grouped[path]))
        return self.error(first, _advice(grouped[first], first))

    def _rank(self, path: KeyPath, entries: list[Any]) -> tuple[bool, int]:
        unknown = any(entry["type"] == "extra_forbidden" for entry in entries)
        return not unknown, line_of(self.lines, path) or self.length

    def _path(self, loc: tuple[str | int, ...], entry: Any) -> KeyPath:
        """The place in the file of a place in the checked document.

        The document's names of alternatives ("number", "list[constrained-float]") fall out,
        because no such key stands in the file.
        """
        path = _layout(loc)
        found: KeyPath = ()
        node: Any = self.raw
        for place, part in enumerate(path):
            last = place == len(path) - 1
            inner = at(node, (part,))
            if inner is not None or (last and entry["type"] in ("missing", "extra_forbidden")):
                found, node = (*found, part), inner
            elif place == 0:
                found = (part,)
        return (
            self._sharper(found, node, _plain(entry)) if entry["type"] == "value_error" else found
        )

    def _sharper(self, path: KeyPath, node: Any, text: str) -> KeyPath:
        """For a rule about a whole table: the first of its keys that the rule's text names."""
        if not path:
            dotted = re.search(r"\b([a-z]+)\.([a-z_]+)\b", text)
            return (dotted[1], dotted[2]) if dotted else ()
        if isinstance(node, dict):
            for word in re.findall(r"\w+", text):
                for key in (word, f"{word}s", f"{word[:-1]}ies"):
                    if key in node:
                        return (*path, key)
        return path


def at(node: Any, path: Iterable[str | int]) -> Any:
    """What stands at `path` below `node`, or None."""
    for part in path:
        inside = isinstance(node, dict) and part in node
        listed = isinstance(node, list) and isinstance(part, int) and part < len(node)
        if not inside and not listed:
            return None
        node = node[part]
    return node


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What to say about a key that has no meaning where it stands."""
    choices = list(known)
    close = difflib.get_close_matches(key, choices, n=1, cutoff=0.6)
    if close:
        return f"unknown key; did you mean {close[0]!r}?"
    return f"unknown key; remove it, or use one of: {', '.join(choices)}"


def _layout(loc: tuple[str | int, ...]) -> KeyPath:
    for names, renamed in RENAMED.items():
        if loc[: len(names)] == names:
            return (*renamed, *loc[len(names) :])
    return loc


def _has_inner(path: KeyPath, paths: Iterable[KeyPath]) -> bool:
    return any(len(other) > len(path) and other[: len(path)] == path for other in paths)


def _advice(entries: list[Any], path: KeyPath) -> str:
    kind = entries[0]["type"]
    if kind == "missing" and path in _MISSING_TABLES:
        return _MISSING_TABLES[path]
    if kind == "missing":
        table = ".".join(str(part) for part in path[:-1] if isinstance(part, str))
        return f"missing; add it to [{table}]" if table else "missing; add it"
    if kind == "value_error":
        return _plain(entries[0]).removeprefix(".".join(str(part) for part in path)).strip()
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]), known_keys(path[:-1]))
    return _must_be(entries)


def _plain(entry: Any) -> str:
    """A rule's own text without the column's name, which the place tells already."""
    return re.sub(r"^column '.*?': ", "", str(entry["ctx"]["error"]))


def _must_be(entries: list[Any]) -> str:
    texts = dict.fromkeys(
        _TYPES.get(entry["type"], entry["msg"].removeprefix("Input should be "))
        for entry in entries
    )
    given = entries[0]["input"]
    shown = f", not {given!r}" if isinstance(given, str | int | float) else ""
    return f"must be {' or '.join(texts)}{shown}"
