"""The hub's signatures under reports, and under what people said about them.

What is signed begins with a context of its own, so no other message of the same key can pass for
it.
"""

import base64
from dataclasses import dataclass
from typing import Any

from accounting.models import IssuedReport, ReportSignature
from federation.protocol import keys

REPORT = b"cloister-report-v1\n"
SIGNATURE = b"cloister-report-signature-v1\n"


@dataclass(frozen=True)
class Seal:
    """A public key (hex) and its Ed25519 signature (base64)."""

    key: str
    signature: str


def over_report(key: keys.SigningKey, sha256: str) -> Seal:
    """The hub's word that it issued the report of this digest: over REPORT and its 64 digits."""
    return _seal(key, REPORT + sha256.encode())


def over_signature(key: keys.SigningKey, text: str) -> Seal:
    """The hub's word that a person, password given, said what `text` (canonical JSON) tells."""
    return _seal(key, SIGNATURE + text.encode())


def bundled(report: IssuedReport) -> dict[str, Any]:
    """The report as the stand-alone verifier reads it, the hub's own signature first."""
    hub = {"context": REPORT.decode(), "text": report.sha256}
    people = [
        {"context": SIGNATURE.decode(), "text": row.text, **_parts(row)}
        for row in report.signatures.all()
    ]
    return {
        "text": report.text,
        "sha256": report.sha256,
        "signatures": [hub | _parts(report), *people],
    }


def _parts(row: IssuedReport | ReportSignature) -> dict[str, str]:
    return {"key": row.key, "signature": row.signature}


def _seal(key: keys.SigningKey, data: bytes) -> Seal:
    return Seal(key.public, base64.b64encode(key.sign(data)).decode())
