"""The bytes that are hashed: canonical JSON (RFC 8785) and the digest that chains two rows."""

import hashlib
from typing import Any

import rfc8785

GENESIS = "0" * 64


def canonical_json(value: Any) -> str:
    """Canonical JSON text; raises rfc8785.CanonicalizationError for NaN and the like."""
    return rfc8785.dumps(value).decode()


def sha256(data: bytes) -> str:
    """SHA-256 as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def chained(previous_digest: str, body: str) -> str:
    """SHA-256(previous digest as 32 bytes ‖ body in UTF-8). ValueError if not hexadecimal."""
    return sha256(bytes.fromhex(previous_digest) + body.encode())
