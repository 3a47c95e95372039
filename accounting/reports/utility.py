"""Section 10 of the report: utility, told by whoever measured it.

Models and their metrics belong to a package above this one, which hands in how to read them:
`federation` calls `measured_by` once, when the application starts.
"""

from collections.abc import Callable
from typing import Any

from studies.models import Study

_sources: list[Callable[[Study], dict[str, Any]]] = []


def measured_by(source: Callable[[Study], dict[str, Any]]) -> None:
    """Register a reader: study → JSON of public numbers. Registering it again changes nothing."""
    if source not in _sources:
        _sources.append(source)


def section(study: Study) -> dict[str, Any]:
    """Everything that the readers tell, fractions as decimal strings."""
    found: dict[str, Any] = {}
    for source in _sources:
        found |= source(study)
    return _texts(found) if found else {"status": "not evaluated yet"}


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _texts(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_texts(item) for item in value]
    return repr(value) if isinstance(value, float) else value
