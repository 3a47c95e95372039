"""On which line of a TOML text each key stands, so that a mistake can be pointed at."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, TypeAlias

# Keys of tables, and places (from 0) in arrays of tables.
KeyPath: TypeAlias = tuple[str | int, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = rf"({_PART}(?:[ \t]*\.[ \t]*{_PART})*)"
_ASSIGNMENT = re.compile(rf"\s*{_KEY}[ \t]*=")
_HEADER = re.compile(rf"\s*(\[\[?)[ \t]*{_KEY}[ \t]*\]")
# Texts and comments are swallowed whole, so that their brackets do not count.
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*|[\[\]{}\n]|[^\"'#\[\]{}\n]+|.",
    re.DOTALL,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every table header and key of `text`, which must be valid TOML."""
    lines: dict[KeyPath, int] = {}
    last: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text):
        header = _HEADER.match(statement)
        assignment = _ASSIGNMENT.match(statement)
        if header:
            table = _table(_parts(header[2]), header[1] == "[[", last)
            lines[table] = line
        elif assignment:
            lines[table + _parts(assignment[1])] = line
    return lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """The line of `path`, or of the first thing in it, or of the nearest table around it."""
    for end in range(len(path), 0, -1):
        inside = [line for other, line in lines.items() if other[:end] == path[:end]]
        if inside:
            return lines.get(path[:end], min(inside))
    return None


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """(first line, text) of each header or assignment; values may go over several lines."""
    line, first, depth, statement = 1, 1, 0, ""
    for match in _TOKEN.finditer(text):
        piece = match[0]
        if piece == "\n" and depth == 0:
            yield first, statement
            statement, first = "", line + 1
        else:
            statement += piece
            depth += (piece in "[{") - (piece in "]}")
        line += piece.count("\n")
    yield first, statement


def _parts(key: str) -> tuple[str, ...]:
    inner: Any = tomllib.loads(f"{key} = 0")
    parts = []
    while isinstance(inner, dict):
        name, inner = next(iter(inner.items()))
        parts.append(name)
    return tuple(parts)


def _table(parts: tuple[str, ...], repeated: bool, last: dict[KeyPath, int]) -> KeyPath:
    """The path of a header; `last` remembers which entry of each array of tables is current."""
    path: KeyPath = ()
    for place, part in enumerate(parts):
        path += (part,)
        if repeated and place == len(parts) - 1:
            last[path] = last.get(path, -1) + 1
        if path in last:
            path += (last[path],)
    return path
