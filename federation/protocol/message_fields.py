"""What each field of a message may hold: closed forms, checked when a message is made or read."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from accounting.dp.events import PrivacyEvent
from federation.protocol.machines import MACHINE_CLASSES

Check = Callable[[str, Any], None]

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
LARGEST = 2**53 - 1  # the largest integer that canonical JSON carries exactly
DEEPEST = 8


class MessageError(ValueError):
    """A message is malformed, forged, too large or of an unexpected kind; it is not acted on."""


def matching(pattern: str, form: str) -> Check:
    """A text that is wholly of `pattern`; `form` says so in words."""
    compiled = re.compile(pattern)

    def check(name: str, value: Any) -> None:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise MessageError(f"{name} must be {form}")

    return check


identifier = matching(r"[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, - or _")
slug = matching(r"[a-z0-9][a-z0-9-]{0,62}", "a slug of lower-case letters, digits and -")
digest64 = matching(r"[0-9a-f]{64}", "64 lower-case hexadecimal digits")
phase = matching(r"[a-z][a-z_]{0,19}", "the name of a phase")
line = matching(r"[^\x00-\x1f\x7f]{0,200}", "one line of at most 200 characters")
name_line = matching(r"[^\x00-\x1f\x7f]{1,200}", "one line of 1 to 200 characters")
document_text = matching(r"(?s)\{.*\}", "the text of a JSON object")


def whole(least: int) -> Check:
    """A whole number from `least` on that JSON carries exactly."""

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
            raise MessageError(f"{name} must be a whole number of at least {least}")

    return check


def flag(name: str, value: Any) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise MessageError(f"{name} must be true or false")


def machine(name: str, value: Any) -> None:
    """A class of machine from the closed list, or nothing."""
    if value not in ("", *MACHINE_CLASSES):
        raise MessageError(f"{name} must be one of: {', '.join(MACHINE_CLASSES)}")


def moment_text(name: str, value: Any) -> None:
    """A UTC time as text."""
    if not isinstance(value, str):
        raise MessageError(f"{name} must be a UTC time such as 2026-01-31T12:00:00Z")
    try:
        moment(value)
    except MessageError as error:
        raise MessageError(f"{name}: {error}") from None


def parameters(name: str, value: Any) -> None:
    """A JSON object without floating-point numbers: those that matter travel as decimal text."""
    if not isinstance(value, dict):
        raise MessageError(f"{name} must be an object")
    _check_plain(name, value, DEEPEST)


def _check_plain(name: str, value: Any, depth: int) -> None:
    if depth == 0:
        raise MessageError(f"{name} is nested too deeply")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise MessageError(f"{name} has a key that is not text")
            _check_plain(f"{name}.{key}", inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check_plain(name, inner, depth - 1)
    else:
        _check_scalar(name, value)


def _check_scalar(name: str, value: Any) -> None:
    if isinstance(value, float):
        raise MessageError(f"{name} is a floating-point number; write it as decimal text")
    if value is not None and not isinstance(value, str | int):
        raise MessageError(f"{name} must hold JSON values only")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise MessageError(f"{name} is too large for a number in JSON; write it as text")


def events(name: str, value: Any) -> None:
    """A tuple of privacy events, each exactly as `PrivacyEvent.to_json` writes it."""
    if not isinstance(value, tuple):
        raise MessageError(f"{name} must be a tuple of privacy events")
    for document in value:
        try:
            same = PrivacyEvent.from_json(document).to_json() == document
        except (ValueError, TypeError) as error:
            raise MessageError(f"{name}: {error}") from None
        if not same:
            raise MessageError(f"{name} must hold events as PrivacyEvent.to_json() writes them")


def journal(name: str, value: Any) -> None:
    """The head of the site's journal: {"sequence": int, "digest": 64 hex digits}."""
    _check_keys(name, value, {"sequence", "digest"})
    whole(0)(f"{name}.sequence", value["sequence"])
    digest64(f"{name}.digest", value["digest"])


def charge(name: str, value: Any) -> None:
    """Where a journal says that something was charged, as `journal`; or nothing."""
    if value != {}:
        journal(name, value)


def checkpoint(name: str, value: Any) -> None:
    """The ledger's checkpoint that a site holds: {"size": int, "root": 64 hex digits}."""
    _check_keys(name, value, {"size", "root"})
    whole(0)(f"{name}.size", value["size"])
    digest64(f"{name}.root", value["root"])


def parsed(text: Any) -> Any:
    """The JSON value of a text. Raises ValueError where it is none."""
    if not isinstance(text, str):
        raise ValueError("not a text")
    return json.loads(text)


def datasets(name: str, value: Any) -> None:
    """The datasets lent, each with its lifetime budget as decimal text; names only once."""
    if not isinstance(value, list):
        raise MessageError(f"{name} must be a list")
    for entry in value:
        _check_keys(name, entry, {"name", "lineage", "epsilon", "delta"})
        name_line(f"{name}.name", entry["name"])
        name_line(f"{name}.lineage", entry["lineage"])
        _check_decimal(f"{name}.epsilon", entry["epsilon"], None)
        _check_decimal(f"{name}.delta", entry["delta"], Decimal(1))
    names = [entry["name"] for entry in value]
    if len(set(names)) != len(names):
        raise MessageError(f"{name} names a dataset twice")


def _check_keys(name: str, value: Any, keys: set[str]) -> None:
    if not isinstance(value, dict) or set(value) != keys:
        raise MessageError(f"{name} must have exactly the keys {', '.join(sorted(keys))}")


def _check_decimal(name: str, value: Any, below: Decimal | None) -> None:
    try:
        number = Decimal(value) if isinstance(value, str) and len(value) <= 64 else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0 or (below is not None and number >= below):
        limit = "" if below is None else f" and below {below}"
        raise MessageError(f"{name} must be a decimal number as text, above 0{limit}")


Identifier = Annotated[str, identifier]
SlugText = Annotated[str, slug]
DigestText = Annotated[str, digest64]
PhaseName = Annotated[str, phase]
Line = Annotated[str, line]
NameLine = Annotated[str, name_line]
DocumentText = Annotated[str, document_text]
MomentText = Annotated[str, moment_text]
FromOne = Annotated[int, whole(1)]
Flag = Annotated[bool, flag]
Parameters = Annotated[dict[str, Any], parameters]
Events = Annotated[tuple[dict[str, Any], ...], events]
Journal = Annotated[dict[str, Any], journal]
Charge = Annotated[dict[str, Any], charge]
CheckpointHeld = Annotated[dict[str, Any], checkpoint]
Datasets = Annotated[list[dict[str, str]], datasets]
MachineText = Annotated[str, machine]


def timestamp(at: datetime) -> str:
    """`at` as the text that messages carry: UTC, ISO 8601, ending in Z.

    Raises ValueError when `at` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("a time in a message needs its time zone; use UTC")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def moment(text: str) -> datetime:
    """The aware UTC time of what `timestamp` wrote. Raises MessageError."""
    if MOMENT.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise MessageError("give a UTC time such as 2026-01-31T12:00:00Z")
