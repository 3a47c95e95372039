"""Tensors by digest on disk: written whole and synced before any row names them."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings


class BlobTooLarge(Exception):
    """More bytes came than this blob may have."""


class DigestMismatch(Exception):
    """The bytes are not those that were announced."""


def path(digest: str) -> Path:
    """Where the blob of that SHA-256 (64 hexadecimal digits) lies, or would lie.

    Raises ValueError for anything but a digest, so that no other path can be named.
    """
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise ValueError("not a SHA-256 in lower-case hexadecimal")
    return Path(settings.BLOBS) / digest[:2] / digest


def exists(digest: str) -> bool:
    """Whether the blob is here, whole."""
    return path(digest).is_file()


def read(digest: str) -> bytes:
    """The blob's bytes; FileNotFoundError when it never came."""
    return path(digest).read_bytes()


def put(data: bytes) -> str:
    """Keep `data`; returns its digest. Writing the same bytes again changes nothing."""
    return store((data,), limit=len(data))


def store(chunks: Iterable[bytes], *, limit: int, expected: str | None = None) -> str:
    """Stream `chunks` to disk and return their digest.

    The file appears under its digest only after it was synced: a crash leaves a temporary file
    that nothing refers to, never half a blob.

    Raises:
        BlobTooLarge: more than `limit` bytes came; nothing is kept.
        DigestMismatch: `expected` is another digest; nothing is kept.
    """
    root = Path(settings.BLOBS)
    root.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=root, prefix="incoming-")
    temporary = Path(name)
    try:
        digest = _write(descriptor, chunks, limit)
        if expected is not None and digest != expected:
            raise DigestMismatch("the bytes do not have the digest in Content-Digest; send again")
        _publish(temporary, path(digest))
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def _write(descriptor: int, chunks: Iterable[bytes], limit: int) -> str:
    seen, sha = 0, hashlib.sha256()
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            seen += len(chunk)
            if seen > limit:
                raise BlobTooLarge(f"more than the {limit} bytes that this answer may have")
            sha.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return sha.hexdigest()


def _publish(temporary: Path, target: Path) -> None:
    """Rename within one file system, then sync the folder so that the name survives too."""
    target.parent.mkdir(exist_ok=True)
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
