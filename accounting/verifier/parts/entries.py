"""The entries of a bundle: their one form, their digests, their order, their place in the tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accounting.verifier.parts.findings import Verdict
from accounting.verifier.parts.reading import (
    Unreadable,
    Wrong,
    canonical,
    hexadecimal,
    parse,
    pick,
)
from accounting.verifier.parts.trees import Tree, leaf_hash, sha256

GENESIS = "0" * 64


class Entries:
    """What could be read of a bundle's entries, by sequence number; what could not is a finding."""

    def __init__(self, rows: list[Any], verdict: Verdict, *, complete: bool) -> None:
        self.verdict, self.complete = verdict, complete
        self.bodies: dict[int, dict[str, Any]] = {}
        self.digests: dict[int, str] = {}
        self.leaves: dict[int, bytes] = {}
        self.roots: dict[int, bytes] = {0: sha256(b"")}
        last, previous, count = 0, GENESIS, len(rows)
        for place, row in enumerate(rows, start=1):
            last, previous = self._take(place, row, last, previous)
        if complete:
            self._grow()
        verdict.good("canonical", f"{count} entries, each in the one form of RFC 8785")
        verdict.good("digests", "each digest is that of the entry's body and the digest before it")
        whole = f"1 to {count} without a gap"
        verdict.good("sequence", whole if complete else f"{count} entries of a part, in order")

    def _take(self, place: int, row: Any, last: int, previous: str) -> tuple[int, str]:
        """One row after number `last` of digest `previous`; returns its own number and digest."""
        try:
            number = pick(row, "sequence", int)
            text = pick(row, "body", str)
        except Wrong as wrong:
            self.verdict.wrong("sequence", str(wrong), place)
            return last, ""
        with self._asking("sequence", number):
            if number <= last or (self.complete and number != place):
                raise Wrong(f"it stands at place {place}, after entry {last}")
        with self._asking("digests", number):
            self._check_digest(number, text, row, (last, previous))
        with self._asking("canonical", number):
            self.bodies[number] = _body(number, text)
        return max(number, last), self.digests.get(number, "")

    def _check_digest(self, number: int, text: str, row: Any, previous: tuple[int, str]) -> None:
        data = _bytes(text)
        self.leaves[number] = leaf_hash(data)
        before, digest = hexadecimal(row, "previous_digest"), hexadecimal(row, "digest")
        self.digests[number] = digest
        if digest != sha256(bytes.fromhex(before) + data).hex():
            raise Wrong("its digest is not SHA-256(previous digest ‖ body): it was changed")
        if number == previous[0] + 1 and before != previous[1]:
            raise Wrong("it does not follow the entry before it: something was changed or moved")

    @contextmanager
    def _asking(self, check: str, number: int) -> Iterator[None]:
        """One question about one entry: a wrong answer is a finding, not the end."""
        try:
            yield
        except Wrong as wrong:
            self.verdict.wrong(check, str(wrong), number)

    def _grow(self) -> None:
        """The root at every size: of what checkpoints and witnesses may name."""
        tree = Tree()
        for number in sorted(self.leaves):
            tree.add(self.leaves[number])
            self.roots[tree.size] = tree.root()
        self.verdict.good("tree", f"root {tree.root().hex()} over {tree.size} entries")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Wrong("its body holds half a character") from error


def _body(number: int, text: str) -> dict[str, Any]:
    try:
        body = parse(text)
    except Unreadable as error:
        raise Wrong(f"its body: {error}") from error
    if not isinstance(body, dict) or canonical(body) != text:
        raise Wrong("its body is not in canonical form")
    if body.get("sequence") != number:
        raise Wrong(f"its body says that it is entry {str(body.get('sequence'))[:20]}")
    return body
