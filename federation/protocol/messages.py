"""Control messages between hub and sites: closed types in a signed envelope of canonical bytes."""

import base64
import binascii
import json
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_type_hints

from federation.protocol import journal_rows
from federation.protocol import message_fields as form
from federation.protocol.audit import FREE
from federation.protocol.canonical import canonical_json, digest
from federation.protocol.document import Protocol
from federation.protocol.keys import BadSignature, SigningKey, verify
from federation.protocol.message_fields import MessageError, moment, timestamp

__all__ = [
    "ApprovedProtocol",
    "Assignment",
    "Contribution",
    "Message",
    "MessageError",
    "Offer",
    "Reason",
    "Refusal",
    "Statement",
    "check_enrolment_proof",
    "enrolment_proof",
    "moment",
    "open_envelope",
    "sign",
    "timestamp",
]

VERSION = 1
CONTEXT = b"cloister-message-v1\n"
ENROL_CONTEXT = b"cloister-enrol-v1\n"
MAX_BYTES = 64 * 1024


class Reason(StrEnum):
    """Why a site refused an assignment. The list is closed: no free text leaves a site."""

    NOT_ADDRESSED = "not_addressed"
    EXPIRED = "expired"
    REPLAYED = "replayed"
    UNKNOWN_PROTOCOL = "unknown_protocol"
    NOT_APPROVED = "not_approved"
    LIMIT_EPSILON = "limit_epsilon"
    LIMIT_LIFETIME = "limit_lifetime"
    LIMIT_NOISE = "limit_noise"
    LIMIT_ROUNDS = "limit_rounds"
    LIMIT_ARCHITECTURE = "limit_architecture"
    LIMIT_COHORT = "limit_cohort"
    LIMIT_AUDITS = "limit_audits"
    DATA_MISMATCH = "data_mismatch"
    MODEL_MISMATCH = "model_mismatch"
    JOURNAL_FULL = "journal_full"
    CLOCK = "clock"
    CANCELLED = "cancelled"
    LOCAL_FAILURE = "local_failure"
    LEDGER_FORKED = "ledger_forked"


def _reason(name: str, value: Any) -> None:
    if not isinstance(value, Reason):
        raise MessageError(f"{name} must be one of: {', '.join(Reason)}")


@dataclass(frozen=True, kw_only=True)
class Message:
    """What all messages share: every field is checked when a message is made or read.

    `later`: fields that sites and hubs before them did not write, left out at these values.
    """

    type: ClassVar[str]
    max_bytes: ClassVar[int] = MAX_BYTES
    checks: ClassVar[dict[str, form.Check]]
    later: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        """Collect the rule that each field's annotation carries."""
        hints = get_type_hints(cls, include_extras=True)
        cls.checks = {
            name: hint.__metadata__[0]
            for name, hint in hints.items()
            if hasattr(hint, "__metadata__")
        }

    def __post_init__(self) -> None:
        """Check each field by its own rule."""
        for name, check in self.checks.items():
            check(name, getattr(self, name))

    def to_json(self) -> dict[str, Any]:
        """All fields, with the message's type and version."""
        document: dict[str, Any] = {"type": self.type, "version": VERSION}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if self.later.get(entry.name, ...) == value:
                continue
            document[entry.name] = list(value) if isinstance(value, tuple) else value
        return document

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read what `to_json` wrote.

        Raises:
            MessageError: another type or version, a key too many or too few, a malformed value.
        """
        if not isinstance(document, dict):
            raise MessageError("a message is a JSON object")
        # Python says True == 1 == 1.0; the wire does not.
        if (document.get("type"), repr(document.get("version"))) != (cls.type, repr(VERSION)):
            raise MessageError(f"expected a message of type {cls.type!r}, version {VERSION}")
        document = cls.later | document
        _check_names(document, {"type", "version"} | {entry.name for entry in fields(cls)})
        return cls(**cls._values(document))

    @classmethod
    def _values(cls, document: dict[str, Any]) -> dict[str, Any]:
        return {entry.name: document[entry.name] for entry in fields(cls)}


def _check_names(document: dict[str, Any], known: set[str]) -> None:
    unknown, missing = sorted(set(document) - known), sorted(known - set(document))
    if unknown or missing:
        raise MessageError(
            f"the message has unknown keys ({', '.join(unknown) or 'none'}) or lacks keys "
            f"({', '.join(missing) or 'none'})"
        )


@dataclass(frozen=True, kw_only=True)
class Assignment(Message):
    """The hub asks one site for one phase of one attempt at a round."""

    type: ClassVar[str] = "assignment"
    assignment: form.Identifier
    addressee: form.SlugText
    study: form.SlugText
    round: form.FromOne
    attempt: form.FromOne
    phase: form.PhaseName
    issued_at: form.MomentText
    expires_at: form.MomentText
    protocol_digest: form.DigestText
    model_digest: form.DigestText
    parameters: form.Parameters

    def __post_init__(self) -> None:
        """An assignment that expires before it was issued is a mistake, not a short one."""
        super().__post_init__()
        if moment(self.expires_at) <= moment(self.issued_at):
            raise MessageError("expires_at must be after issued_at")


@dataclass(frozen=True, kw_only=True)
class Contribution(Message):
    """A site answers an assignment: the digest of its tensors, and what they cost."""

    type: ClassVar[str] = "contribution"
    assignment: form.Identifier
    site: form.SlugText
    study: form.SlugText
    round: form.FromOne
    attempt: form.FromOne
    phase: form.PhaseName
    protocol_digest: form.DigestText
    model_digest: form.DigestText
    tensors_digest: form.DigestText
    events: form.Events
    journal: form.Journal
    answered_at: form.MomentText

    def __post_init__(self) -> None:
        """What reads no row has no price, and everything else has one."""
        super().__post_init__()
        if bool(self.events) == (self.phase in FREE):
            need = "no privacy event" if self.phase in FREE else "at least one privacy event"
            raise MessageError(f"events must hold {need} in phase {self.phase}")

    @classmethod
    def _values(cls, document: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(document["events"], list):
            raise MessageError("events must be a list")
        return super()._values(document) | {"events": tuple(document["events"])}


@dataclass(frozen=True, kw_only=True)
class Refusal(Message):
    """A site declines an assignment; `accessed` says whether private rows were read for it.

    Or for another assignment at the same place of the study: then it is charged just the same.
    `charge` is where the site's journal says so; nothing, and left out, where nothing was read.
    """

    type: ClassVar[str] = "refusal"
    later: ClassVar[dict[str, Any]] = {"charge": {}}
    assignment: form.Identifier
    site: form.SlugText
    study: form.SlugText
    round: form.FromOne
    attempt: form.FromOne
    phase: form.PhaseName
    reason: Annotated[Reason, _reason]
    accessed: form.Flag
    answered_at: form.MomentText
    charge: form.Charge = field(default_factory=dict)

    def __post_init__(self) -> None:
        """A charge that read nothing is a contradiction."""
        super().__post_init__()
        if self.charge and not self.accessed:
            raise MessageError("charge names what was charged, so accessed must be true")

    @classmethod
    def _values(cls, document: dict[str, Any]) -> dict[str, Any]:
        values = super()._values(document)
        try:
            return values | {"reason": Reason(values["reason"])}
        except ValueError:
            raise MessageError(f"reason must be one of: {', '.join(Reason)}") from None


@dataclass(frozen=True, kw_only=True)
class Offer(Message):
    """A site says what it lends: datasets with their lifetime budgets as decimal text.

    `machine` is the class that it counts its machine in; empty, and left out, where it says none.
    """

    type: ClassVar[str] = "offer"
    later: ClassVar[dict[str, Any]] = {"machine": ""}
    site: form.SlugText
    datasets: form.Datasets
    software: form.Line
    offered_at: form.MomentText
    machine: form.MachineText = ""


@dataclass(frozen=True, kw_only=True)
class Statement(Message):
    """A site tells its journal: entries from `first` on, its end, and the checkpoint it holds.

    `journal` is the journal's real end; a long journal is told in several statements, of which
    only the last reaches it. Without entries `first` is the one after the end.
    """

    type: ClassVar[str] = "statement"
    max_bytes: ClassVar[int] = 512 * 1024
    site: form.SlugText
    first: form.FromOne
    entries: Annotated[list[dict[str, Any]], journal_rows.check_rows]
    journal: form.Journal
    checkpoint: form.CheckpointHeld
    stated_at: form.MomentText

    def __post_init__(self) -> None:
        """Entries begin at `first` and lead to the end, or towards it."""
        super().__post_init__()
        end = (self.journal["sequence"], self.journal["digest"])
        last = journal_rows.head_of(self.entries) if self.entries else (self.first - 1, end[1])
        begins = self.entries[0]["sequence"] if self.entries else end[0] + 1
        if begins != self.first:
            raise MessageError("entries do not begin at first; the statement is truncated")
        if last[0] > end[0] or (last[0] == end[0] and last != end):
            raise MessageError("the journal's end is not where its entries lead")

    @property
    def complete(self) -> bool:
        """Whether nothing of the journal comes after these entries."""
        return self.first + len(self.entries) == self.journal["sequence"] + 1


@dataclass(frozen=True, kw_only=True)
class ApprovedProtocol(Message):
    """The hub hands a site the document that its institution approved, and by whom."""

    type: ClassVar[str] = "approved_protocol"
    # A contract may name 10,000 columns, and its text is quoted twice on its way.
    max_bytes: ClassVar[int] = 8 * 2**20
    protocol_digest: form.DigestText
    document: form.DocumentText
    study: form.SlugText
    institution: form.SlugText
    dataset: form.NameLine
    lineage: form.NameLine
    approved_by: form.NameLine
    approved_at: form.MomentText

    def __post_init__(self) -> None:
        """The digest must be that of the document beside it."""
        super().__post_init__()
        if digest(self.document.encode()) != self.protocol_digest:
            raise MessageError("protocol_digest is not the SHA-256 of the document")

    @property
    def protocol(self) -> Protocol:
        """The document, checked. Raises MessageError when it is not one canonical protocol."""
        try:
            protocol = Protocol.model_validate_json(self.document)
        except ValueError:
            raise MessageError(
                "the document is not a protocol that this version understands; update the site"
            ) from None
        if protocol.digest != self.protocol_digest:
            raise MessageError("the document is not in canonical form; update hub and site alike")
        return protocol


T = TypeVar("T", bound=Message)


def sign(message: Message, key: SigningKey) -> bytes:
    """The envelope: canonical JSON of key, the exact signed text, and the signature (base64)."""
    signed = canonical_json(message.to_json())
    envelope = canonical_json(
        {
            "key": key.public,
            "message": signed.decode(),
            "signature": base64.b64encode(key.sign(CONTEXT + signed)).decode(),
        }
    )
    if len(envelope) > message.max_bytes:
        raise MessageError(f"the {message.type} message is larger than {message.max_bytes} bytes")
    return envelope


def open_envelope(data: bytes, public: str, expect: type[T] | tuple[type[T], ...]) -> T:
    """The message in `data`, signed by the key `public`, of (one of) the expected type(s).

    The signature is verified before the message inside is parsed.

    Raises:
        MessageError: oversize, truncated, not canonical, another key, forged, or a message of
            another type or form.
    """
    types = expect if isinstance(expect, tuple) else (expect,)
    if len(data) > max(kind.max_bytes for kind in types):
        raise MessageError("the envelope is larger than its kind of message may be")
    signed = _signed_bytes(_json(data), public)
    document = _json(signed)
    for kind in types:
        if isinstance(document, dict) and document.get("type") == kind.type:
            return kind.from_json(document)
    raise MessageError(f"expected a message of type {' or '.join(k.type for k in types)}")


def enrolment_proof(token: str, key: SigningKey) -> str:
    """Base64 signature that proves, at enrolment, possession of `key` for this one token."""
    return base64.b64encode(key.sign(ENROL_CONTEXT + token.encode())).decode()


def check_enrolment_proof(token: str, public: str, proof: str) -> None:
    """Return if `proof` was made for `token` by `public`. Raises MessageError otherwise."""
    _verify(public, ENROL_CONTEXT + token.encode(), proof)


def _json(data: bytes) -> Any:
    """Parse; one value has one text only, so repeated keys and odd spellings are refused too."""
    try:
        value = json.loads(data)
        same = canonical_json(value) == data
    except (ValueError, RecursionError):
        raise MessageError("the message is truncated or not canonical JSON") from None
    if not same:
        raise MessageError("the message is not canonical JSON")
    return value


def _signed_bytes(envelope: Any, public: str) -> bytes:
    if not isinstance(envelope, dict) or set(envelope) != {"key", "message", "signature"}:
        raise MessageError("an envelope has exactly the keys key, message and signature")
    if not all(isinstance(value, str) for value in envelope.values()):
        raise MessageError("key, message and signature must be text")
    if envelope["key"] != public:
        raise MessageError("the message is signed by another key than the one expected")
    signed: bytes = envelope["message"].encode()
    _verify(public, CONTEXT + signed, envelope["signature"])
    return signed


def _verify(public: str, data: bytes, signature: str) -> None:
    try:
        verify(public, data, base64.b64decode(signature, validate=True))
    except (binascii.Error, ValueError, BadSignature) as error:
        raise MessageError(f"the signature does not hold: {error}") from None
