"""Signed HTTP requests from sites (RFC 9421): method, path, query, body digest, time and nonce."""

import base64
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.algorithms import ED25519

from federation.protocol.keys import BadSignature, SigningKey, public_key

COVERED = ("@method", "@path", "@query", "content-digest")
HEADERS = ("Content-Digest", "Signature-Input", "Signature")
TAG = "cloister"
LABEL = "cloister"
NONCE_BYTES = 18
SHORTEST_NONCE = 22  # base64 of 16 bytes, without padding
LONGEST_NONCE = 64
LONGEST_HEADER = 2048
CONTENT_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")


class Fault(StrEnum):
    """What was wrong with a request's signature."""

    UNSIGNED = "unsigned"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    SKEWED = "skewed"
    BODY = "body"
    FORGED = "forged"


class RequestRefused(ValueError):
    """The request is not signed as it must be; `fault` for machines, the text for people."""

    def __init__(self, fault: Fault, advice: str) -> None:
        super().__init__(advice)
        self.fault = fault


@dataclass(frozen=True)
class VerifiedRequest:
    """Who signed the request, its nonce (to be refused the second time) and its body's SHA-256."""

    key_id: str
    nonce: str
    created: datetime
    body_digest: str


@dataclass
class _Request:
    """The view of a request that the signature library reads; the host is not covered."""

    method: str
    url: str
    headers: dict[str, str]


class _Keys(HTTPSignatureKeyResolver):
    def __init__(
        self,
        resolve: Callable[[str], str | None] | None = None,
        signing: SigningKey | None = None,
    ) -> None:
        self._resolve = resolve
        self._signing = signing

    def resolve_public_key(self, key_id: str) -> Any:
        found = self._resolve(key_id) if self._resolve else None
        if found is None:
            raise RequestRefused(
                Fault.UNKNOWN_KEY, "no site is enrolled under this key id; enrol the site first"
            )
        return public_key(found)

    def resolve_private_key(self, key_id: str) -> Any:
        if self._signing is None:
            raise KeyError(key_id)
        return self._signing.private


class _Verifier(HTTPMessageVerifier):
    """The library's verifier with a clock that the caller gives."""

    def __init__(self, keys: _Keys, now: datetime, skew: timedelta) -> None:
        super().__init__(signature_algorithm=ED25519, key_resolver=keys)
        self._now = now
        self._skew = skew

    def validate_created_and_expires(
        self, sig_input: Any, max_age: timedelta | None = None
    ) -> None:
        """Refuse a signature made too long ago or too far in the future."""
        off = created_at(sig_input.params) - self._now
        if abs(off) > self._skew:
            raise RequestRefused(
                Fault.SKEWED,
                f"the request was signed {abs(off.total_seconds()):.0f} s "
                f"{'ahead of' if off > timedelta(0) else 'behind'} the hub's clock, at most "
                f"{self._skew.total_seconds():.0f} s are allowed; set the site's clock (NTP)",
            )


def created_at(parameters: Mapping[str, Any]) -> datetime:
    """The signature's `created` parameter as UTC. Raises RequestRefused when it is malformed."""
    created = parameters.get("created")
    if type(created) is not int or not 0 <= created < 2**33:
        raise RequestRefused(Fault.MALFORMED, "the signature lacks the time it was created at")
    return datetime.fromtimestamp(created, UTC)


def sign_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    key: SigningKey,
    key_id: str,
    now: datetime | None = None,
) -> dict[str, str]:
    """The headers to add to a request: Content-Digest, Signature-Input and Signature.

    `url` may be absolute or start with a slash. Existing headers of these names are not used.
    """
    request = _Request(method.upper(), _local(url), {})
    HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=_Keys(signing=key)).sign(
        request,
        key_id=key_id,
        created=now or datetime.now(UTC),
        nonce=base64.urlsafe_b64encode(os.urandom(NONCE_BYTES)).decode(),
        label=LABEL,
        tag=TAG,
        covered_component_ids=COVERED,
        body=body or b"",
    )
    return request.headers


def verify_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    resolve: Callable[[str], str | None],
    now: datetime,
    max_skew_seconds: float,
) -> VerifiedRequest:
    """Who signed this request.

    `resolve` gives the public key (64 hex digits) of a key id, None when there is none. `body`
    None means that the body is not read yet: the caller then compares its SHA-256 with
    `body_digest` of the answer. A nonce seen before must be refused by the caller.

    Raises:
        RequestRefused: unsigned, malformed, unknown key, clock too far off, changed or forged.
    """
    request = _Request(method.upper(), _local(url), _signature_headers(headers))
    verifier = _Verifier(_Keys(resolve), now, timedelta(seconds=max_skew_seconds))
    try:
        results = verifier.verify(request, max_age=None, expect_tag=TAG, require_components=COVERED)
    except (HTTPMessageSignaturesException, BadSignature) as error:
        raise _refused(error) from None
    if len(results) != 1:
        raise RequestRefused(Fault.MALFORMED, "the request must carry exactly one signature")
    parameters = results[0].parameters
    return VerifiedRequest(
        key_id=str(parameters["keyid"]),
        nonce=_nonce(parameters),
        created=created_at(parameters),
        body_digest=_body_digest(request.headers["Content-Digest"], body),
    )


def _local(url: str) -> str:
    # A path may begin with two slashes; urlsplit would take what follows for a host.
    if not url.startswith("/"):
        parts = urlsplit(url)
        url = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    return f"http://hub{url}"


def _signature_headers(headers: Mapping[str, str]) -> dict[str, str]:
    found = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in HEADERS if name.lower() not in found]
    if missing:
        raise RequestRefused(
            Fault.UNSIGNED, f"the request must be signed with the site's key; it lacks {missing[0]}"
        )
    chosen = {name: found[name.lower()] for name in HEADERS}
    if any(len(value) > LONGEST_HEADER for value in chosen.values()):
        raise RequestRefused(Fault.MALFORMED, "a signature header is too long")
    return chosen


def _refused(error: Exception) -> RequestRefused:
    # The library wraps whatever the key resolver or the key raised.
    cause = error.__cause__
    if isinstance(cause, RequestRefused):
        return cause
    if isinstance(cause, InvalidSignature):
        return RequestRefused(
            Fault.FORGED,
            "the signature does not match the request; it was changed on the way, or signed with "
            "another key than the enrolled one",
        )
    return RequestRefused(Fault.MALFORMED, "the signature headers are malformed or incomplete")


def _nonce(parameters: Mapping[str, Any]) -> str:
    nonce = parameters.get("nonce")
    if not isinstance(nonce, str) or not SHORTEST_NONCE <= len(nonce) <= LONGEST_NONCE:
        raise RequestRefused(Fault.MALFORMED, "the signature needs a nonce of 16 random bytes")
    return nonce


def _body_digest(header: str, body: bytes | None) -> str:
    match = CONTENT_DIGEST.fullmatch(header.strip())
    if match is None:
        raise RequestRefused(Fault.MALFORMED, "Content-Digest must be one SHA-256 (RFC 9530)")
    stated = base64.b64decode(match[1])
    if body is not None and hashlib.sha256(body).digest() != stated:
        raise RequestRefused(Fault.BODY, "the body is not the one that was signed; send it again")
    return stated.hex()
