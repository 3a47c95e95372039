"""The Merkle tree of RFC 6962: roots, and the proofs that an entry is in and that a log only grew.

A complete subtree of level l and index i holds the 2^l leaves from i·2^l on. Whoever stores the
root of each subtree that is ever completed can answer every proof from O(log n) of them.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Subtrees = Callable[[int, int], bytes]  # (level, index) → root of that complete subtree


class ProofError(ValueError):
    """A proof does not prove what it was given for."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 ‖ data); RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right); RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass
class Frontier:
    """A tree that grows at its end, kept as the roots of its complete subtrees, largest first."""

    size: int = 0
    roots: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse roots that cannot be those of `size` leaves."""
        if self.size < 0 or len(self.roots) != self.size.bit_count():
            raise ValueError(
                f"a tree of {self.size} leaves has not {len(self.roots)} complete subtrees; "
                "its stored frontier is damaged"
            )

    def append(self, leaf: bytes) -> list[bytes]:
        """Take one leaf hash; the roots of the subtrees that it completes, level 0 upwards."""
        ended = [leaf]
        for _ in range((~self.size & (self.size + 1)).bit_length() - 1):  # trailing ones of size
            ended.append(node_hash(self.roots.pop(), ended[-1]))
        self.roots.append(ended[-1])
        self.size += 1
        return ended

    def root(self) -> bytes:
        """The root of the whole tree."""
        return _folded(self.roots)


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, in order."""
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def root_of(size: int, subtrees: Subtrees) -> bytes:
    """The root of the first `size` leaves."""
    return _span(0, size, subtrees)


def inclusion_proof(index: int, size: int, subtrees: Subtrees) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 section 2.1.1; ValueError where there is no such leaf."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}; leaves count from 0")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _left(end - start)
        if index < middle:
            path.append(_span(middle, end, subtrees))
            end = middle
        else:
            path.append(_span(start, middle, subtrees))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, subtrees: Subtrees) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 6962 section 2.1.2; empty where there is nothing to prove.

    Raises ValueError where `new` is smaller than `old`.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} cannot extend one of {old}; a log only grows")
    if old in (0, new):
        return []
    start, end, path = 0, new, []
    while end != old:
        middle = start + _left(end - start)
        if old <= middle:
            path.append(_span(middle, end, subtrees))
            end = middle
        else:
            path.append(_span(start, middle, subtrees))
            start = middle
    if start:
        path.append(_span(start, end, subtrees))
    return path[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return if the leaf hash is at `index` of the tree; RFC 9162 section 2.1.3.2.

    Raises:
        ProofError: it is not proved.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} in a tree of {size}")
    place, last, computed = index, size - 1, leaf
    for step in _checked(proof):
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if place & 1 or place == last:
            computed = node_hash(step, computed)
            place, last = _past_edge(place, last)
        else:
            computed = node_hash(computed, step)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofError("the inclusion proof is too short")
    if computed != root:
        raise ProofError(f"leaf {index} is not in the tree of {size} with this root")


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return if the new tree begins with the whole old one; RFC 9162 section 2.1.4.2.

    Raises:
        ProofError: it is not proved: the log was cut, or what it held was rewritten.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"the log shrank from {old_size} to {new_size} entries")
    if old_size in (0, new_size):
        _check_trivial(old_size, old_root, new_size, new_root, proof)
        return
    path = list(_checked(proof))
    if not old_size & (old_size - 1):
        path.insert(0, old_root)
    if not path:
        raise ProofError("the consistency proof is empty")
    old, new = _both_roots(old_size, new_size, path)
    if old != old_root:
        raise ProofError(f"the proof does not lead to the root that was seen at size {old_size}")
    if new != new_root:
        raise ProofError(f"the tree of {new_size} does not begin with that of {old_size}")


def _both_roots(old_size: int, new_size: int, path: list[bytes]) -> tuple[bytes, bytes]:
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for step in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if place & 1 or place == last:
            old, new = node_hash(step, old), node_hash(step, new)
            place, last = _past_edge(place, last)
        else:
            new = node_hash(new, step)
        place, last = place >> 1, last >> 1
    if last != 0:
        raise ProofError("the consistency proof is too short")
    return old, new


def _past_edge(place: int, last: int) -> tuple[int, int]:
    """Skip the levels at which a node on the right edge has no sibling."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _check_trivial(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    if proof:
        raise ProofError("nothing needs a proof here, and one was given")
    expected = EMPTY_ROOT if old_size == 0 else new_root
    if old_root != expected:
        raise ProofError(f"two roots for one size, {old_size}: the log was forked")
    if new_size == 0 and new_root != EMPTY_ROOT:
        raise ProofError("an empty log has another root")


def _checked(proof: Sequence[bytes]) -> Iterator[bytes]:
    for step in proof:
        if len(step) != SIZE:
            raise ProofError(f"a step of the proof has {len(step)} bytes; a hash has {SIZE}")
        yield step


def _left(width: int) -> int:
    """The largest power of two below `width` (at least 2)."""
    return 1 << ((width - 1).bit_length() - 1)


def _span(start: int, end: int, subtrees: Subtrees) -> bytes:
    """The root over leaves [start, end), where `start` divides by every subtree that fits."""
    roots = []
    while start < end:
        level = (end - start).bit_length() - 1
        roots.append(subtrees(level, start >> level))
        start += 1 << level
    return _folded(roots)


def _folded(roots: Sequence[bytes]) -> bytes:
    if not roots:
        return EMPTY_ROOT
    folded = roots[-1]
    for left in reversed(roots[:-1]):
        folded = node_hash(left, folded)
    return folded
