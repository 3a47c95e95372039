"""The difference between two protocols, field by field, for people who are to approve it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from federation.protocol.canonical import canonical_json
from federation.protocol.document import Protocol

# Lists whose entries have a name: a column put in front must not look like a change of them all.
_NAMED = {"data.columns": "name", "cohort": "institution"}


class _Absent:
    """Stands for a field that one of the two documents lacks."""


ABSENT = _Absent()


@dataclass(frozen=True)
class Change:
    """One field that differs; None stands for a field that is not there on that side."""

    path: str
    before: Any
    after: Any


def differences(old: Protocol, new: Protocol) -> list[Change]:
    """All changes, in the document's order; empty exactly when the digests are equal."""
    return list(_changes("", old.model_dump(mode="json"), new.model_dump(mode="json")))


def _changes(path: str, before: Any, after: Any) -> Iterator[Change]:
    if _same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _fields(path, before, after)
    elif path in _NAMED:
        yield from _entries(path, _NAMED[path], before, after)
    else:
        yield Change(path, _shown(before), _shown(after))


def _fields(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        inner = f"{path}.{name}" if path else name
        yield from _changes(inner, before.get(name, ABSENT), after.get(name, ABSENT))


def _entries(path: str, key: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    old = {entry[key]: entry for entry in before}
    new = {entry[key]: entry for entry in after}
    for name in dict.fromkeys([*old, *new]):
        yield from _changes(f"{path}[{name}]", old.get(name, ABSENT), new.get(name, ABSENT))
    kept_before = [name for name in old if name in new]
    kept_after = [name for name in new if name in old]
    if kept_before != kept_after:
        yield Change(f"{path} (order)", kept_before, kept_after)


def _same(before: Any, after: Any) -> bool:
    if before is ABSENT or after is ABSENT:
        return before is after
    # Python says True == 1; the approved bytes say otherwise, and they decide.
    return canonical_json(before) == canonical_json(after)


def _shown(value: Any) -> Any:
    return None if value is ABSENT else value
