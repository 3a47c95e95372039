"""A fake site that keeps a real journal and tells it, honestly or not."""

import json
from base64 import urlsafe_b64decode
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

from django.db import connection
from django.http import HttpResponse
from django.utils import timezone

from accounting.dp.events import PrivacyEvent
from accounting.log import merkle
from accounting.log.checkpoints import SignedCheckpoint
from accounting.models import SiteDifference
from accounting.services.hub_key import hub_key
from federation.models import Round
from federation.protocol import messages
from federation.protocol.canonical import digest
from federation.protocol.keys import verify
from federation.protocol.tensors import pack
from federation.services.facts import expected_event
from federation.site.journal import Journal, Kind, Slot
from studies import triggers
from studies.selectors.protocols import protocol_of
from tests.federation.sites import Site, post

EMPTY = {"size": 0, "root": merkle.EMPTY_ROOT.hex()}


@dataclass
class Bookkeeper:
    """One site's worker with its books; `checkpoint` is what it saw of the ledger."""

    site: Site
    journal: Journal
    checkpoint: dict[str, Any] = field(default_factory=lambda: dict(EMPTY))
    clock: timedelta = timedelta(0)

    @classmethod
    def of(cls, site: Site, folder: Path, name: str = "journal") -> "Bookkeeper":
        return cls(site, Journal(folder / f"{site.slug}-{name}.sqlite3"))

    def now(self) -> datetime:
        return timezone.now() + self.clock

    def take(self) -> messages.Assignment | None:
        """The next assignment; the checkpoint beside it is verified and held."""
        path = "assignments?wait=0"
        headers = self.site.signed("GET", path) | {"Ledger-Size": str(self.checkpoint["size"])}
        response = post("GET", path, b"", headers)
        if response.status_code == 204:
            return None
        self.look(json.loads(urlsafe_b64decode(response["Ledger-Checkpoint"])))
        return messages.open_envelope(response.content, hub_key().public, messages.Assignment)

    def look(self, document: dict[str, Any]) -> None:
        signed = SignedCheckpoint.from_json(document["checkpoint"])
        signed.verify(hub_key().public, verify)
        seen, held = signed.checkpoint, self.checkpoint
        merkle.verify_consistency(
            held["size"],
            bytes.fromhex(held["root"]),
            seen.size,
            bytes.fromhex(seen.root),
            [bytes.fromhex(step) for step in document["consistency"]],
        )
        self.checkpoint = {"size": seen.size, "root": seen.root}

    def charge(self, task: messages.Assignment, **changes: Any) -> dict[str, Any]:
        """Write the charge; where it stands in the journal."""
        event = PrivacyEvent.from_json(task.parameters["event"] | changes.pop("event", {}))
        entry = self.journal.append(
            Kind.CHARGED,
            slot(task),
            at=self.now(),
            event=event,
            **{"lineage": "heart-1988", "protocol_digest": task.protocol_digest} | changes,
        )
        return {"sequence": entry.sequence, "digest": entry.digest}

    def release(self, task: messages.Assignment, left: str) -> None:
        self.journal.append(Kind.RELEASED, slot(task), at=self.now(), tensors_digest=left)

    def elsewhere(self, study: Any, left: str = "", **changes: Any) -> dict[str, Any]:
        """A charge, and perhaps a release, that the hub has no row of, as after its restore."""
        place = {"round": 1, "attempt": 1, "phase": "train"} | changes
        where = Slot(study.slug, **place, assignment=token_hex(8), message_digest="e" * 64)
        event = expected_event(
            protocol_of(study),
            Round(study=study, number=place["round"], attempt=place["attempt"]),
            place["phase"],
            self.site.slug,
        )
        entry = self.journal.append(
            Kind.CHARGED,
            where,
            at=self.now(),
            event=event,
            lineage="heart-1988",
            protocol_digest=study.protocol_digest,
        )
        if left:
            self.journal.append(Kind.RELEASED, where, at=self.now(), tensors_digest=left)
        return {"sequence": entry.sequence, "digest": entry.digest}

    def work(self, *, known: bool = True) -> messages.Assignment:
        """One whole round; `known` False: the release is not in the journal."""
        task = self.take()
        assert task is not None
        place = self.charge(task)
        data = pack(self.site.computed(task))
        if known:
            self.release(task, digest(data))
        assert self.site.upload(task, data).status_code == 204
        answer = self.site.contribution(task, data, journal=place)
        assert self.site.answer(task, messages.sign(answer, self.site.key)).json()["accepted"]
        if known:
            self.journal.append(Kind.ACKNOWLEDGED, slot(task), at=self.now(), reason="accepted")
        return task

    def statement(self, first: int = 1, most: int = 200, **changes: Any) -> bytes:
        """The journal from `first` on, signed."""
        entries = [asdict(entry) for entry in self.journal.since(first, most)]
        end = self.journal.head
        fields = {
            "site": self.site.slug,
            "first": entries[0]["sequence"] if entries else end[0] + 1,
            "entries": entries,
            "journal": {"sequence": end[0], "digest": end[1]},
            "checkpoint": self.checkpoint,
            "stated_at": messages.timestamp(self.now()),
        }
        return messages.sign(messages.Statement(**fields | changes), self.site.key)

    def send(self, envelope: bytes) -> HttpResponse:
        return self.site.send("PUT", "journal", envelope)

    def tell(self, first: int = 1, **changes: Any) -> int:
        """State it; where the hub's copy ends."""
        response = self.send(self.statement(first, **changes))
        assert response.status_code == 200, response.content
        return response.json()["sequence"]


def slot(task: messages.Assignment) -> Slot:
    return Slot(
        task.study,
        task.round,
        task.attempt,
        task.phase,
        task.assignment,
        digest(task.study.encode()),
    )


def found() -> list[str]:
    return [row.what for row in SiteDifference.objects.order_by("id")]


def stopped(study, what: str) -> SiteDifference:
    """The one difference, with its event and the held study."""
    study.refresh_from_db()
    assert found() == [what]
    row = SiteDifference.objects.get()
    event = study.events.get(kind="journal_mismatch")
    assert (event.institution.slug, event.payload["what"]) == (row.institution, what)
    assert study.status == "paused"
    assert "do not agree" in study.status_reason
    assert not any(character in study.status_reason for character in "ε=")  # nobody's figures
    return row


def tampered(statement: str, *values: object) -> None:
    """What somebody with the database's password does."""
    triggers.remove(connection, ("accounting_entry",))
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
    triggers.install(connection, ("accounting_entry",))
