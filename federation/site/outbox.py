"""Signed answers on disk: stored before their first byte is sent, sent again as stored."""

import json
import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from federation.site.store import sync_folder, write_durably

_SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Parcel:
    """One answer: its signed envelope, and the tensors it speaks of (None for a refusal)."""

    envelope: bytes
    tensors: bytes | None


class Outbox:
    """One folder for each assignment; its `answer.json`, written last, makes it complete."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        self._path = path

    def store(self, assignment: str, parcel: Parcel, *, expires: datetime) -> None:
        """Keep `parcel` durably. Raises OSError (disk full); the assignment is then unanswered."""
        folder = self._folder(assignment)
        folder.mkdir(mode=0o700, exist_ok=True)
        if parcel.tensors is not None:
            write_durably(folder / "tensors.safetensors", parcel.tensors)
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
        tensors = folder / "tensors.safetensors"
        return Parcel(envelope, tensors.read_bytes() if tensors.exists() else None)

    def forget_expired(self, now: datetime) -> None:
        """Remove answers whose assignment has expired: the hub can no longer ask for them."""
        for folder in self._path.iterdir():
            if _expired(folder / "expires.json", now):
                shutil.rmtree(folder)

    def _folder(self, assignment: str) -> Path:
        if not _SAFE.fullmatch(assignment):
            raise ValueError("an assignment id may hold letters, digits, - and _ only")
        return self._path / assignment


def _expired(path: Path, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(json.loads(path.read_bytes())) < now
    except FileNotFoundError:
        return False  # a draft of a crashed moment: its assignment will come again
