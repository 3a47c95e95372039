"""Signed answers on disk: stored before their first byte is sent, sent again as stored."""

import json
import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from federation.protocol.canonical import digest
from federation.site.store import sync_folder, write_durably

_SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Parcel:
    """One answer: its signed envelope, and the tensors it speaks of (None for a refusal)."""

    envelope: bytes
    tensors: bytes | None


class Outbox:
    """One folder for each assignment; its `answer.json`, written last, makes it complete.

    A draw that a crash or a full disk left there belongs to no answer, and goes with none: tensors
    are those whose digest the signed answer names, and a refusal names none.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        self._path = path

    def store(self, assignment: str, parcel: Parcel, *, expires: datetime) -> None:
        """Keep `parcel` durably. Raises OSError (disk full); the assignment is then unanswered."""
        folder = self._folder(assignment)
        folder.mkdir(mode=0o700, exist_ok=True)
        tensors = folder / "tensors.safetensors"
        if parcel.tensors is None:
            tensors.unlink(missing_ok=True)  # durable with the next name
        else:
            write_durably(tensors, parcel.tensors)
        write_durably(folder / "expires.json", json.dumps(expires.isoformat()).encode())
        write_durably(folder / "answer.json", parcel.envelope)
        sync_folder(self._path)

    def find(self, assignment: str) -> Parcel | None:
        """The stored answer, or None when nothing complete is there."""
        folder = self._folder(assignment)
        try:
            envelope = (folder / "answer.json").read_bytes()
        except FileNotFoundError:
            return None
        named = _named(envelope)
        if named is None:
            return Parcel(envelope, None)
        try:
            tensors = (folder / "tensors.safetensors").read_bytes()
        except FileNotFoundError:
            return None
        return Parcel(envelope, tensors) if digest(tensors) == named else None

    def forget_expired(self, now: datetime) -> None:
        """Remove answers whose assignment has expired: the hub can no longer ask for them."""
        for folder in self._path.iterdir():
            if _expired(folder / "expires.json", now):
                shutil.rmtree(folder)

    def _folder(self, assignment: str) -> Path:
        if not _SAFE.fullmatch(assignment):
            raise ValueError("an assignment id may hold letters, digits, - and _ only")
        return self._path / assignment


def _named(envelope: bytes) -> str | None:
    """The digest of the tensors that an answer of our own goes with; None for a refusal."""
    named: str | None = json.loads(json.loads(envelope)["message"]).get("tensors_digest")
    return named


def _expired(path: Path, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(json.loads(path.read_bytes())) < now
    except FileNotFoundError:
        return False  # a draft of a crashed moment: its assignment will come again
