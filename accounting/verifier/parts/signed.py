"""What was signed: the hub's checkpoints, the proofs between them, the sites' statements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounting.verifier.parts.entries import Entries
from accounting.verifier.parts.findings import Verdict
from accounting.verifier.parts.reading import (
    MALFORMED,
    Unreadable,
    Wrong,
    canonical,
    hexadecimal,
    parse,
    pick,
)
from accounting.verifier.parts.trees import (
    check_consistency,
    check_inclusion,
    check_signature,
    checkpoint_text,
    sha256,
)

PLACE = ("study", "institution", "round", "attempt", "phase")
MESSAGE_CONTEXT = b"cloister-message-v1\n"


class Signed:
    """The checkpoints and statements of one bundle; `roots` are those that the hub's key signed."""

    def __init__(
        self, document: dict[str, Any], entries: Entries, key: str, verdict: Verdict
    ) -> None:
        self.document, self.entries, self.key, self.verdict = document, entries, key, verdict
        self.roots: dict[int, bytes] = {}
        self._hub: dict[tuple[str, ...], dict[str, Any]] = {}
        self._booked: set[str] = set()  # digests of rows of sites' journals

    def check_checkpoints(self) -> None:
        """Each signed by the hub, growing, over these entries; the last one covers them all."""
        last = -1
        for place, note in enumerate(self.document["checkpoints"], start=1):
            try:
                last = self._check_note(note, last)
            except Wrong as wrong:
                self.verdict.wrong("checkpoints", f"number {place}: {wrong}")
        needed = max(self.entries.leaves, default=0)
        if last < 0 or last < needed or (self.entries.complete and last != needed):
            self.verdict.wrong(
                "checkpoints", f"none is over all {needed} entries: the end is signed by nobody"
            )
        count = len(self.roots)
        self.verdict.good("checkpoints", f"{count} by the hub's key, the last over {last} entries")

    def _check_note(self, note: Any, last: int) -> int:
        size, root = pick(note, "size", int), bytes.fromhex(hexadecimal(note, "root"))
        if size <= last:
            raise Wrong(f"it follows one of {last} entries: the log went backwards")
        if pick(note, "key", str) != self.key:
            raise Wrong(f"it is by another key, {str(note['key'])[:16]}…")
        if pick(note, "origin", str) != f"cloister/{self.key[:16]}":
            raise Wrong("its origin is not that of the hub's key")
        check_signature(self.key, checkpoint_text(note), pick(note, "signature", str))
        self.roots[size] = root
        if self.entries.complete and self.entries.roots.get(size) != root:
            self.verdict.wrong("tree", f"the root signed over {size} entries is not that of these")
        return size

    def check_inclusion(self) -> None:
        """Of a part: each entry is in the tree of the last checkpoint."""
        size = max(self.roots, default=0)
        rows = self.document["entries"]
        for row in rows:
            number = row.get("sequence") if isinstance(row, dict) else None
            if number not in self.entries.leaves or isinstance(number, bool):
                continue
            try:
                check_inclusion(
                    self.entries.leaves[number],
                    number - 1,
                    size,
                    pick(row, "inclusion", list),
                    self.roots.get(size, b""),
                )
            except Wrong as wrong:
                self.verdict.wrong("tree", str(wrong), number)
        self.verdict.good("tree", f"{len(rows)} inclusion proofs lead to the root over {size}")

    def check_consistency(self) -> None:
        """Between neighbouring checkpoints: the later tree begins with the earlier one."""
        sizes = sorted(self.roots)
        proofs: dict[Any, Any] = {}
        for link in self.document["consistency"]:
            if isinstance(link, dict):
                proofs[str(link.get("from")), str(link.get("to"))] = link.get("proof")
        try:
            for old, new in zip(sizes, sizes[1:]):
                if (str(old), str(new)) not in proofs:
                    raise Wrong(f"there is no proof between {old} and {new} entries")
                proof = proofs.pop((str(old), str(new)))
                check_consistency(old, self.roots[old], new, self.roots[new], proof)
            if proofs:
                raise Wrong("there are proofs between checkpoints that are not there")
        except Wrong as wrong:
            self.verdict.wrong("consistency", str(wrong))
        links = max(len(sizes) - 1, 0)
        self.verdict.good("consistency", f"{links} proofs: each tree begins with the one before")

    def check_witnesses(self, pinned: Mapping[str, str]) -> None:
        """Each site's signed statement names a tree that these entries begin with."""
        rows, said = self.document["witnesses"], []
        for row in rows:
            who = str(row.get("institution"))[:80] if isinstance(row, dict) else "?"
            try:
                said.append(self._check_witness(row, pinned))
            except (Wrong, Unreadable) as wrong:
                self.verdict.wrong("witnesses", f"{who}: {wrong}")
            except MALFORMED as error:
                self.verdict.wrong("witnesses", f"{who}: it is malformed: {error!r:.200}")
        if not rows:
            self.verdict.skip("witnesses", "the bundle holds no site's statement")
        unpinned = {str(row.get("institution"))[:80] for row in rows if isinstance(row, dict)}
        unpinned -= set(pinned)
        if unpinned:
            names = ", ".join(sorted(unpinned))
            self.verdict.warn(
                "witnesses",
                f"the keys of {names} are taken from the bundle: ask, and give --site NAME=KEY",
            )
        self.verdict.good("witnesses", f"{'; '.join(said)}: each saw the beginning of this tree")

    def _check_witness(self, row: Any, pinned: Mapping[str, str]) -> str:
        who, key = pick(row, "institution", str), hexadecimal(row, "key")
        if pinned.get(who, key) != key:
            raise Wrong(f"it is signed by {key[:16]}…, not by the key you gave")
        statement = opened(pick(row, "envelope", str), key)
        if pick(statement, "type", str) != "statement" or pick(statement, "site", str) != who:
            raise Wrong("the envelope is no statement of this institution")
        held = pick(statement, "checkpoint", dict)
        size, root = pick(held, "size", int), bytes.fromhex(hexadecimal(held, "root"))
        check_journal(statement)
        self._reconcile(statement, who)
        known = self.entries.roots if self.entries.complete else self.roots
        if size not in known:
            if self.entries.complete:
                raise Wrong(f"it saw {size} entries, more than there are: the ledger was cut")
            return f"{who} ({size} entries, not comparable in a part)"
        if size and known[size] != root:
            raise Wrong(f"it saw another history: its root over {size} entries is {root.hex()}")
        return f"{who} ({size} entries)"

    def _index(self) -> None:
        for body in self.entries.bodies.values() if not self._hub else ():
            self._hub[tuple(str(body.get(name)) for name in (*PLACE, "kind"))] = body
            if body.get("kind") == "booked":
                self._booked.add(str(pick(body, "journal", dict).get("digest")))

    def _reconcile(self, statement: dict[str, Any], who: str) -> None:
        """What the site's own journal says of a place must not contradict the ledger."""
        self._index()
        for row in statement["entries"]:
            place = (str(row.get("study")), who, *(str(row.get(name)) for name in PLACE[2:]))
            reserved, released = (self._hub.get((*place, k), {}) for k in ("reserved", "released"))
            kind, text = row.get("kind"), row.get("event")
            if row["digest"] in self._booked:
                continue
            if kind == "charged" and self._uncounted(place):
                raise Wrong(f"its journal's entry {row['sequence']} charged what nothing counts")
            if kind == "charged" and reserved and parse(str(text)) != reserved.get("event"):
                raise Wrong(f"its journal charged another event than entry {reserved['sequence']}")
            digest = released.get("tensors_digest")
            if kind == "released" and released and row.get("tensors_digest") != digest:
                raise Wrong(
                    f"its journal released something else than entry {released['sequence']}"
                )

    def _uncounted(self, place: tuple[str, ...]) -> bool:
        """Whether the whole ledger has no reservation there that stands."""
        stands = (*place, "reserved") in self._hub and (*place, "aborted") not in self._hub
        return self.entries.complete and not stands


def opened(envelope: str, key: str) -> dict[str, Any]:
    """The message in a signed envelope. Raises Wrong."""
    try:
        outer = parse(envelope)
        if not isinstance(outer, dict) or set(outer) != {"key", "message", "signature"}:
            raise Wrong("the envelope has not its form")
        if outer["key"] != key or canonical(outer) != envelope:
            raise Wrong("the envelope names another key, or is not canonical")
        text = pick(outer, "message", str)
        check_signature(key, MESSAGE_CONTEXT + text.encode(), pick(outer, "signature", str))
        message = parse(text)
    except (Unreadable, UnicodeEncodeError) as error:
        raise Wrong(f"the envelope cannot be read: {error}") from error
    if not isinstance(message, dict):
        raise Wrong("the envelope holds no message")
    return message


def check_journal(statement: dict[str, Any]) -> None:
    """The site's own journal entries in a statement follow each other. Raises Wrong."""
    rows: list[Any] = pick(statement, "entries", list)
    before = None
    for row in rows:
        digest, number = hexadecimal(row, "digest"), pick(row, "sequence", int)
        body = canonical({name: row[name] for name in row if name != "digest"})
        if sha256(body.encode("utf-8", "replace")).hex() != digest:
            raise Wrong(f"entry {number} of the site's journal was changed")
        if before and (row.get("previous_digest") != before[1] or number != before[0] + 1):
            raise Wrong(f"entry {number} of the site's journal does not follow the one before it")
        before = (number, digest)
