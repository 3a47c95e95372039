"""Keyed hashes of units and rows: the secret coins that need no memory and no other row."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from federation.protocol.cells import Columns, coded

Hashes = NDArray[np.uint64]
HASH_ROWS = 50_000


def hashes(contents: Iterable[bytes], key: bytes, purpose: bytes) -> Hashes:
    """uint64 [n]: the first 8 bytes of keyed BLAKE2b (RFC 7693), personalised by `purpose`."""
    secret = hashlib.sha256(key).digest()
    digests = b"".join(
        hashlib.blake2b(content, digest_size=8, key=secret, person=purpose).digest()
        for content in contents
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def of_column(columns: Columns, name: str, key: bytes, purpose: bytes) -> Hashes:
    """The hash of each cell's text; the same text gives the same hash from every source."""
    found = coded(columns[name])
    distinct = hashes((text.encode() for text in found.texts), key, purpose)
    return distinct[found.codes] if len(distinct) else np.zeros(len(found), np.uint64)


def row_texts(columns: Columns, names: Sequence[str]) -> Iterator[bytes] | None:
    """Each row's cells as one text; None where a cell is no text to begin with.

    No cell contains the separator: the CSV reader refuses it.
    """
    cells = [columns[name] for name in names]
    if any(not isinstance(column, np.ndarray) for column in cells):
        return None
    return _joined([column for column in cells if isinstance(column, np.ndarray)])


def _joined(cells: list[np.ndarray]) -> Iterator[bytes]:
    for start in range(0, len(cells[0]), HASH_ROWS):
        chunk = [column[start : start + HASH_ROWS].tolist() for column in cells]
        yield from (text.encode() for text in map("\0".join, zip(*chunk, strict=True)))


def row_bytes(*parts: np.ndarray) -> Iterator[bytes]:
    """Each row's numbers, as they lie in memory (little-endian), one part after the other."""
    # One array of bytes that is cut up: each object per row would cost as much as its hash.
    flat = [np.ascontiguousarray(part).reshape(len(part), -1).view(np.uint8) for part in parts]
    together = np.concatenate(flat, axis=1)
    data, size = together.tobytes(), together.shape[1]
    for first in range(0, len(data), size):
        yield data[first : first + size]
