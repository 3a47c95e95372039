"""The Merkle tree over the ledger (RFC 6962, proofs as in RFC 9162), and Ed25519 signatures."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from accounting.verifier.parts.reading import Wrong, hexadecimal_text, pick

MOST_PROOF = 64


def sha256(data: bytes) -> bytes:
    """SHA-256 as 32 bytes."""
    return hashlib.sha256(data).digest()


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00" + data)


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right)


class Tree:
    """Grows leaf by leaf; keeps one hash per complete subtree, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """One more leaf hash: every two equal subtrees become one."""
        self.size += 1
        merges = self.size
        while merges % 2 == 0:
            leaf = node_hash(self._peaks.pop(), leaf)
            merges //= 2
        self._peaks.append(leaf)

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._peaks:
            return sha256(b"")
        found = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            found = node_hash(peak, found)
        return found


def check_inclusion(leaf: bytes, index: int, size: int, proof: Any, root: bytes) -> None:
    """RFC 9162, 2.1.3.2. Raises Wrong unless `leaf` is number `index` (from 0) of the tree."""
    if not 0 <= index < size:
        raise Wrong("its number is beyond the tree's size")
    at, last, found = index, size - 1, leaf
    for node in hashes(proof):
        if last == 0:
            raise Wrong("its inclusion proof is too long")
        if at % 2 or at == last:
            found = node_hash(node, found)
            at, last = _joined(at, last)
        else:
            found = node_hash(found, node)
        at, last = at >> 1, last >> 1
    if last != 0 or found != root:
        raise Wrong("its inclusion proof does not lead to the signed root")


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Any) -> None:
    """RFC 9162, 2.1.4.2. Raises Wrong unless the newer tree begins with the older one."""
    nodes = hashes(proof)
    if not 0 <= old <= new:
        raise Wrong("the sizes of a consistency proof are out of order")
    if old in (0, new):
        if nodes or old_root != (sha256(b"") if old == 0 else new_root):
            raise Wrong(f"two different roots are signed for {old} entries")
        return
    if old & (old - 1) == 0:
        nodes = [old_root, *nodes]
    if not nodes or _climbed(old, new, nodes) != (old_root, new_root):
        raise Wrong(f"the tree of {new} entries does not begin with the signed tree of {old}")


def _climbed(old: int, new: int, nodes: list[bytes]) -> tuple[bytes, bytes]:
    """The roots of both trees, from a proof that begins with the subtree that they share."""
    at, last = old - 1, new - 1
    while at % 2:
        at, last = at >> 1, last >> 1
    older = newer = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise Wrong("a consistency proof is too long")
        if at % 2 or at == last:
            older, newer = node_hash(node, older), node_hash(node, newer)
            at, last = _joined(at, last)
        else:
            newer = node_hash(newer, node)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise Wrong("a consistency proof is too short")
    return older, newer


def _joined(at: int, last: int) -> tuple[int, int]:
    """Skips the levels at which a node at the right edge has no sibling."""
    while at % 2 == 0 and at:
        at, last = at >> 1, last >> 1
    return at, last


def hashes(proof: Any) -> list[bytes]:
    """A proof from its list of hexadecimal texts. Raises Wrong."""
    if not isinstance(proof, list) or len(proof) > MOST_PROOF:
        raise Wrong("a proof is no list of at most 64 hashes")
    return [bytes.fromhex(hexadecimal_text(node, "a hash of a proof")) for node in proof]


def check_signature(key: str, data: bytes, signature: str) -> None:
    """Raises Wrong unless `signature` (base64) over `data` was made by `key` (64 hex digits)."""
    try:
        raw = base64.b64decode(signature, validate=True)
        if base64.b64encode(raw).decode() != signature:
            raise Wrong("a signature is not written in the one form of its base64")
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(raw, data)
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise Wrong(f"the signature was not made by the key {key[:16]}… over this") from error


def checkpoint_text(checkpoint: Any) -> bytes:
    """The bytes that the hub signs: context, origin, size, root in base64, time."""
    root = bytes.fromhex(hexadecimal_text(pick(checkpoint, "root", str), "root"))
    lines: Sequence[str] = (
        "cloister-checkpoint-v1",
        pick(checkpoint, "origin", str),
        str(pick(checkpoint, "size", int)),
        base64.b64encode(root).decode(),
        pick(checkpoint, "at", str),
    )
    if any("\n" in line for line in lines):
        raise Wrong("a checkpoint holds a line break")
    return "".join(f"{line}\n" for line in lines).encode()
