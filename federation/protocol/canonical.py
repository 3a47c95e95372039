"""Canonical bytes: one JSON text per value (RFC 8785), and its SHA-256."""

import hashlib
from typing import Any

import rfc8785


def canonical_json(value: Any) -> bytes:
    """Canonical JSON of `value`; raises rfc8785.CanonicalizationError for NaN and the like."""
    return rfc8785.dumps(value)


def digest(data: bytes) -> str:
    """SHA-256 of `data` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
