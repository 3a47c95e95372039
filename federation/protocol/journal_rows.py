"""The rows of a site's journal as they travel: what each may hold, and the chain that binds them.

A row holds only what the hub knows already or may know: keys, events, digests, times in whole
seconds, and words from closed lists. No count, loss or text of a failure has a place in it.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from accounting.dp.events import PrivacyEvent
from federation.protocol import message_fields as form
from federation.protocol.canonical import canonical_json, digest
from federation.protocol.message_fields import MessageError

GENESIS = "0" * 64
KINDS = ("charged", "released", "refused", "acknowledged")
_DIGEST = r"[0-9a-f]{64}"
_CHECKS: Mapping[str, form.Check] = {
    "sequence": form.whole(1),
    "at": form.matching(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00", "a UTC time ending in +00:00"
    ),
    "kind": form.matching("|".join(KINDS), f"one of: {', '.join(KINDS)}"),
    "study": form.slug,
    "round": form.whole(1),
    "attempt": form.whole(1),
    "phase": form.phase,
    "assignment": form.identifier,
    "message_digest": form.digest64,
    "lineage": form.line,
    "protocol_digest": form.matching(f"({_DIGEST})?", "64 hexadecimal digits, or empty"),
    "tensors_digest": form.matching(f"({_DIGEST})?", "64 hexadecimal digits, or empty"),
    "reason": form.matching(
        r"([a-z_]{1,40}|accepted|not accepted|rejected \d{3})?", "a word of the closed lists"
    ),
    "previous_digest": form.digest64,
    "digest": form.digest64,
}
NAMES = frozenset(_CHECKS) | {"event"}


def sealed(row: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of all fields but `digest`."""
    return digest(canonical_json({name: row[name] for name in row if name != "digest"}))


def check_rows(name: str, value: Any) -> None:
    """A list of rows, each of its form and sealed, each following the one before it.

    Raises:
        MessageError: naming `name`: a row is malformed, was changed, or is missing in between.
    """
    if not isinstance(value, list):
        raise MessageError(f"{name} must be a list")
    for row in value:
        _check_row(name, row)
    for before, row in pairwise(value):
        follows = (before["sequence"] + 1, before["digest"])
        if (row["sequence"], row["previous_digest"]) != follows:
            raise MessageError(f"{name}: row {row['sequence']} does not follow the one before it")


def head_of(rows: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
    """Sequence and digest of the last row; of the empty journal where there is none."""
    return (rows[-1]["sequence"], rows[-1]["digest"]) if rows else (0, GENESIS)


def _check_row(name: str, row: Any) -> None:
    if not isinstance(row, dict) or set(row) != NAMES:
        raise MessageError(f"{name} must hold rows with exactly the keys of a journal's entry")
    for field, check in _CHECKS.items():
        check(f"{name}.{field}", row[field])
    _check_event(f"{name}.event", row["event"])
    if row["kind"] == "charged" and not row["event"]:
        raise MessageError(f"{name}.event is empty: a row that charges says what it charges")
    if sealed(row) != row["digest"]:
        raise MessageError(f"{name}: row {row['sequence']} was changed: its digest does not fit")


def _check_event(name: str, text: Any) -> None:
    """Empty, or one privacy event exactly as the journal writes it."""
    if text == "":
        return
    try:
        event = PrivacyEvent.from_json(form.parsed(text))
    except (ValueError, TypeError) as error:
        raise MessageError(f"{name}: {error}") from None
    if canonical_json(event.to_json()).decode() != text:
        raise MessageError(f"{name} is not an event as the journal writes it")
