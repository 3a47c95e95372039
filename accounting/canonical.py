"""The bytes that are hashed: canonical JSON (RFC 8785) and the digest that chains two rows.

Bodies hold texts, whole numbers and truths; for these Python's own encoder, in C, writes the
canonical form. Whatever might differ (fractions, numbers of 16 digits and more, characters beyond
U+FFFF, keys that are no texts) goes through the `rfc8785` library.
"""

import hashlib
import json
from typing import Any

import rfc8785

GENESIS = "0" * 64


def canonical_json(value: Any) -> str:
    """Canonical JSON text; raises rfc8785.CanonicalizationError for NaN and the like."""
    try:
        text = _QUICK.encode(value)
        if _ordered(text) and _PLAIN.decode(text) == value:
            return text
    except (TypeError, ValueError):
        pass
    return rfc8785.dumps(value).decode()


def canonical_value(text: str) -> Any:
    """What a canonical JSON text says. Raises ValueError where it is not JSON or not canonical."""
    try:
        value = _PLAIN.decode(text)
        if _ordered(text) and _QUICK.encode(value) == text:
            return value
    except _Unusual:
        pass
    value = json.loads(text)
    if rfc8785.dumps(value).decode() != text:
        raise ValueError("the text is JSON, but not canonical JSON (RFC 8785)")
    return value


def sha256(data: bytes) -> str:
    """SHA-256 as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def chained(previous_digest: str, body: str) -> str:
    """SHA-256(previous digest as 32 bytes ‖ body in UTF-8). ValueError if not hexadecimal."""
    return sha256(bytes.fromhex(previous_digest) + body.encode())


class _Unusual(ValueError):
    """A number that Python and RFC 8785 may write differently."""


def _unusual(written: str) -> Any:
    raise _Unusual(written)


def _whole(digits: str) -> int:
    return int(digits) if len(digits) < 16 else _unusual(digits)


def _ordered(text: str) -> bool:
    """Whether code points sort as UTF-16 units do, which is what RFC 8785 sorts keys by."""
    return text.isascii() or max(text) <= "\uffff"


_QUICK = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
)
_PLAIN = json.JSONDecoder(parse_float=_unusual, parse_constant=_unusual, parse_int=_whole)
