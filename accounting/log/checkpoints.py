"""Signed checkpoints: the hub's word for how long its ledger is and what it holds.

The note has four lines (origin, size, root in base64, time), after the checkpoints of transparency
logs (C2SP tlog-checkpoint); what is signed is CONTEXT and this text, so no other message of the
same key can pass for it.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

CONTEXT = b"cloister-checkpoint-v1\n"
KEYS = ("origin", "size", "root", "at", "key", "signature")
_HEX = re.compile(r"[0-9a-f]{64}")
_ORIGIN = re.compile(r"cloister/[0-9a-f]{16}")
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


class CheckpointError(ValueError):
    """This is no checkpoint of that hub."""


class Signer(Protocol):
    """What signs: federation.protocol.keys.SigningKey, for instance."""

    @property
    def public(self) -> str:
        """64 hex digits."""

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature."""


Verify = Callable[[str, bytes, bytes], None]  # (public, data, signature); raises a ValueError


@dataclass(frozen=True)
class Checkpoint:
    """The first `size` entries of the ledger of `origin` have the Merkle root `root` (hex).

    Raises:
        CheckpointError: a field has not its form.
    """

    origin: str
    size: int
    root: str
    at: str  # UTC, RFC 3339 with Z

    def __post_init__(self) -> None:
        """Refuse what has two readings."""
        _matches("origin", _ORIGIN, self.origin)
        _matches("root", _HEX, self.root)
        _matches("at", _AT, self.at)
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 0:
            raise CheckpointError(f"the size of a checkpoint is {self.size!r}; give a whole number")

    def text(self) -> str:
        """The four lines that are signed."""
        root = base64.b64encode(bytes.fromhex(self.root)).decode()
        return f"{self.origin}\n{self.size}\n{root}\n{self.at}\n"


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint, the hub's public key (hex) and its signature (base64).

    Raises:
        CheckpointError: key or signature have not their form, or the origin is another key's.
    """

    checkpoint: Checkpoint
    key: str
    signature: str

    def __post_init__(self) -> None:
        """Refuse what can be no signature by this key."""
        _matches("key", _HEX, self.key)
        if len(_decoded(self.signature)) != 64:
            raise CheckpointError("the signature of a checkpoint has 64 bytes in base64")
        if self.checkpoint.origin != origin(self.key):
            raise CheckpointError(f"{self.checkpoint.origin} is not the origin of key {self.key}")

    def to_json(self) -> dict[str, Any]:
        """One flat object with KEYS."""
        found = self.checkpoint
        values = (found.origin, found.size, found.root, found.at, self.key, self.signature)
        return dict(zip(KEYS, values, strict=True))

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read what `to_json` wrote. Raises CheckpointError where it is anything else."""
        if not isinstance(document, Mapping) or set(document) != set(KEYS):
            raise CheckpointError(f"a checkpoint is a JSON object with {', '.join(KEYS)}")
        note = Checkpoint(*(document[name] for name in KEYS[:4]))
        return cls(note, document["key"], document["signature"])

    def verify(self, public: str, verify_bytes: Verify) -> None:
        """Return if the hub whose key is `public` signed exactly this.

        Raises:
            CheckpointError: another key signed it, or its text was changed since.
        """
        if self.key != public:
            raise CheckpointError(
                f"the checkpoint is by key {self.key[:16]}…, and the hub's is {public[:16]}…"
            )
        try:
            verify_bytes(public, _signed_bytes(self.checkpoint), _decoded(self.signature))
        except ValueError as error:
            raise CheckpointError(
                f"the checkpoint of size {self.checkpoint.size}: {error}"
            ) from error


def origin(public: str) -> str:
    """The name of the log of the hub whose public key (hex) this is."""
    return f"cloister/{public[:16]}"


def signed(checkpoint: Checkpoint, key: Signer) -> SignedCheckpoint:
    """Sign with the hub's key. Raises CheckpointError where the origin is another key's."""
    signature = base64.b64encode(key.sign(_signed_bytes(checkpoint))).decode()
    return SignedCheckpoint(checkpoint, key.public, signature)


def _signed_bytes(checkpoint: Checkpoint) -> bytes:
    return CONTEXT + checkpoint.text().encode()


def _decoded(signature: Any) -> bytes:
    try:
        found = base64.b64decode(signature, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise CheckpointError("the signature of a checkpoint is not base64") from None
    if base64.b64encode(found).decode() != signature:
        raise CheckpointError("the signature of a checkpoint is not canonical base64")
    return found


def _matches(name: str, form: re.Pattern[str], value: Any) -> None:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise CheckpointError(f"the {name} of a checkpoint is {value!r}, which has not its form")
