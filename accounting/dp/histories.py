"""Reading a history that a person or a ledger wrote down as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from accounting.dp.events import Mechanism, PrivacyEvent, number

_NEEDED = ("noise_multiplier", "sample_rate", "steps")
_COUNTS = ("steps", "rows_per_unit")
_KINDS = ("sampler", "neighbouring", "noise_grade", "unit")


def parse(text: str) -> tuple[PrivacyEvent, ...]:
    """Events from a JSON list of objects.

    Each object needs noise_multiplier, sample_rate and steps, as numbers or decimal strings.
    What else decides the price (rows_per_unit, mechanism, sampler, neighbouring) is read where
    it stands; other keys of an exported row, such as its round, are passed over.

    Raises:
        ValueError: this is no such list; the text names the entry, counted from 1.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValueError(f"the history is not JSON: {error}") from error
    if not isinstance(document, list):
        raise ValueError(
            f"the history is a JSON {type(document).__name__}, not a list; give a list of objects "
            f"with {', '.join(_NEEDED)}"
        )
    return tuple(_event(place, entry) for place, entry in enumerate(document, start=1))


def event(noise_multiplier: float, sample_rate: float, steps: int) -> PrivacyEvent:
    """An event from the three numbers that decide its price. Raises ValueError."""
    return PrivacyEvent(_mechanism(sample_rate), noise_multiplier, sample_rate, steps)


def _event(place: int, entry: Any) -> PrivacyEvent:
    try:
        if not isinstance(entry, Mapping):
            raise ValueError("it is not a JSON object")
        missing = [name for name in _NEEDED if name not in entry]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return _read(entry)
    except ValueError as error:
        raise ValueError(f"entry {place} of the history: {error}") from error


def _read(entry: Mapping[str, Any]) -> PrivacyEvent:
    rate = number("sample_rate", entry["sample_rate"])
    document = {name: entry[name] for name in _KINDS if name in entry}
    document["mechanism"] = entry.get("mechanism", _mechanism(rate))
    document["noise_multiplier"] = entry["noise_multiplier"]
    document["sample_rate"] = rate
    for name in _COUNTS:
        document[name] = _count(entry.get(name, 1))
    return PrivacyEvent.from_json(document)


def _count(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _mechanism(sample_rate: float) -> Mechanism:
    return Mechanism.GAUSSIAN if sample_rate == 1 else Mechanism.POISSON_GAUSSIAN
