"""Bundles of small true ledgers, and a forger who hashes and signs everything again."""

import copy
import json
from pathlib import Path
from typing import Any

from accounting.canonical import GENESIS, canonical_json, chained
from accounting.log.checkpoints import Checkpoint, origin, signed
from accounting.log.merkle import Frontier, leaf_hash
from accounting.models import Entry
from accounting.services.checkpoints import issue
from accounting.services.hub_key import hub_key
from accounting.verifier.parts.command import main
from federation.protocol.keys import SigningKey
from federation.protocol.messages import CONTEXT, base64
from tests.accounting import in_memory, moves, world

Document = dict[str, Any]


def played(rounds: int = 2) -> world.World:
    """Two houses, a few rounds, one answer lost, one given back; signed three times."""
    found = world.build()
    issue()
    world.play(found, rounds)
    issue()
    key = world.b.key("zurich", rounds + 1)
    world.b.reserve(key, limit=world.BUDGET, protocol=found.study.protocol_digest)
    moves.abort(key, "never taken")
    issue()
    return found


def whole() -> Document:
    return in_memory.document(scope={"kind": "ledger"})


def part(study: str = "heart") -> Document:
    rows = Entry.objects.filter(study=study)
    return in_memory.document(rows, scope={"kind": "study", "study": study})


def body(document: Document, number: int) -> dict[str, Any]:
    return json.loads(document["entries"][number - 1]["body"])


def number_of(document: Document, kind: str, place: int = 0) -> int:
    """The sequence number of the `place`-th entry of a kind."""
    bodies = [json.loads(row["body"]) for row in document["entries"]]
    return [b["sequence"] for b in bodies if b["kind"] == kind][place]


def forged(document: Document, bodies: list[dict[str, Any]] | None = None) -> Document:
    """The bundle of a hub that rewrote its own history: all hashes right, all signatures its own.

    Only what the bodies say can be wrong in it.
    """
    found = copy.deepcopy(document)
    if bodies is None:
        bodies = [json.loads(row["body"]) for row in found["entries"]]
    found["entries"], previous, tree = [], GENESIS, Frontier()
    for number, facts in enumerate(bodies, start=1):
        text = canonical_json(facts | {"sequence": number})
        digest = chained(previous, text)
        found["entries"].append(
            {"sequence": number, "previous_digest": previous, "digest": digest, "body": text}
        )
        previous = digest
        tree.append(leaf_hash(text.encode()))
    note = checkpoint(hub_key(), tree.size, tree.root().hex())
    return found | {"checkpoints": [note], "consistency": [], "complete": True}


def changed(document: Document, number: int, **facts: Any) -> Document:
    """One entry's body changed by a hub that signs everything again."""
    bodies = [json.loads(row["body"]) for row in document["entries"]]
    bodies[number - 1] |= facts
    return forged(document, bodies)


def checkpoint(key: SigningKey, size: int, root: str) -> dict[str, Any]:
    at = "2026-11-21T12:00:00.000000Z"
    return signed(Checkpoint(origin(key.public), size, root, at), key).to_json()


def statement(key: SigningKey, site: str, size: int, root: str, **more: Any) -> dict[str, str]:
    """A witness's row: what a site signed about the tree that it saw."""
    text = canonical_json(
        {
            "type": "statement",
            "version": 1,
            "site": site,
            "first": 1,
            "entries": [],
            "journal": {"sequence": 0, "digest": GENESIS},
            "checkpoint": {"size": size, "root": root},
            "stated_at": "2026-11-21T12:00:00Z",
            **more,
        }
    )
    signature = base64.b64encode(key.sign(CONTEXT + text.encode())).decode()
    envelope = canonical_json({"key": key.public, "message": text, "signature": signature})
    return {"institution": site, "key": key.public, "envelope": envelope}


class Auditor:
    """Runs the verifier on documents and reads what it prints."""

    def __init__(self, folder: Path, capsys: Any) -> None:
        self.folder, self.capsys = folder, capsys

    def run(self, document: Any, *arguments: str) -> tuple[int, str]:
        """(exit status, everything printed)."""
        file = self.folder / "bundle.json"
        text = document if isinstance(document, str) else json.dumps(document)
        file.write_text(text, encoding="utf-8")
        code = main([str(file), *arguments])
        return code, self.capsys.readouterr().out

    def wrong(self, document: Any, *arguments: str) -> dict[str, tuple[int | None, str]]:
        """What is found wrong: check → (entry, sentence)."""
        code, text = self.run(document, "--json", *arguments)
        answer = json.loads(text)
        assert code == answer["code"] == (1 if answer["ok"] is False else 0), text
        return {
            found["check"]: (found["entry"], found["sentence"])
            for found in answer["findings"]
            if found["state"] == "wrong"
        }
