"""Proofs from the stored ledger: which subtree roots are needed is found first, then one query."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice, pairwise
from typing import Any, TypeVar

from accounting.log import merkle
from accounting.log.checkpoints import Checkpoint, SignedCheckpoint, origin
from accounting.log.merkle import Subtrees
from accounting.models import Entry, LedgerCheckpoint

_AT_ONCE = 500  # sequences in one query
T = TypeVar("T")


class Damaged(LookupError):
    """An entry that a proof needs is missing, or its stored subtree roots are."""


def consistency(old: int, new: int) -> list[str]:
    """The proof (hex) that the first `new` entries begin with the first `old`; ValueError."""
    return _hex(_proved(lambda subtrees: merkle.consistency_proof(old, new, subtrees)))


def consistencies(sizes: Sequence[int]) -> list[list[str]]:
    """The proofs between neighbours of ascending `sizes`, from few queries."""

    def every(subtrees: Subtrees) -> list[list[str]]:
        proofs = [merkle.consistency_proof(*pair, subtrees) for pair in pairwise(sizes)]
        return [_hex(proof) for proof in proofs]

    return _proved(every)


def inclusion(sequence: int, size: int) -> list[str]:
    """The proof (hex) that entry `sequence` (from 1) is among the first `size`; ValueError."""
    return _hex(_proved(lambda subtrees: merkle.inclusion_proof(sequence - 1, size, subtrees)))


def inclusions(sequences: Iterable[int], size: int) -> dict[int, list[str]]:
    """The inclusion proofs of many entries, from few queries."""
    wanted = list(sequences)

    def every(subtrees: Subtrees) -> dict[int, list[str]]:
        return {n: _hex(merkle.inclusion_proof(n - 1, size, subtrees)) for n in wanted}

    return _proved(every)


def root(size: int) -> str:
    """The root (hex) of the first `size` entries, from what each stored when it was written."""
    return _proved(lambda subtrees: merkle.root_of(size, subtrees)).hex()


def check_whole(size: int) -> None:
    """Raise Damaged where one of the first `size` entries is missing, or has no subtrees."""
    rows = Entry.objects.filter(sequence__gte=1, sequence__lte=size).exclude(subtrees="")
    if rows.count() != size:
        raise Damaged(
            f"of the {size} entries that were signed some are missing or damaged: run manage.py "
            "verify_ledger, which says what is wrong first"
        )


def word(row: LedgerCheckpoint) -> SignedCheckpoint:
    """A stored checkpoint as the document that was signed. CheckpointError where it has no form."""
    note = Checkpoint(origin(row.key), row.size, row.root, row.at)
    return SignedCheckpoint(note, row.key, row.signature)


def _proved(make: Callable[[Subtrees], T]) -> T:
    """Run `make` twice: with blanks, to see what it asks for, and with what is stored."""
    asked: set[tuple[int, int]] = set()

    def note(level: int, index: int) -> bytes:
        asked.add((level, index))
        return bytes(merkle.SIZE)

    make(note)
    stored = _stored(asked)
    return make(lambda level, index: stored[level, index])


def _stored(places: set[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    ends = {(level, index): (index + 1) << level for level, index in places}
    texts = _texts(set(ends.values()))
    return {place: _hash(texts.get(end, ""), place[0], end) for place, end in ends.items()}


def _texts(sequences: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    rest = iter(sorted(sequences))
    while some := list(islice(rest, _AT_ONCE)):
        rows = Entry.objects.filter(sequence__in=some).order_by()
        found.update(rows.values_list("sequence", "subtrees"))
    return found


def _hash(text: str, level: int, sequence: int) -> bytes:
    digits = text[64 * level : 64 * (level + 1)]
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        found = b""
    if len(found) != merkle.SIZE:
        raise Damaged(
            f"entry {sequence} or its Merkle subtree of level {level} is missing: run "
            "manage.py verify_ledger, which says what is wrong first"
        )
    return found


def _hex(proof: Any) -> list[str]:
    return [step.hex() for step in proof]
