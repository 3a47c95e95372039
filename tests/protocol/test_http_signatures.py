"""Signed requests: covered parts cannot change, clocks must agree, and each nonce is new."""

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest

from federation.protocol.http_signatures import (
    Fault,
    RequestRefused,
    VerifiedRequest,
    sign_request,
    verify_request,
)
from federation.protocol.keys import SigningKey
from tests.protocol.samples import KEY, NOW, OTHER

URL = "https://hub.example.org/site-api/v1/assignments?wait=20"
BODY = b'{"step":3}'


def _sign(now: datetime = NOW, key: SigningKey = KEY, **changes: Any) -> dict[str, str]:
    request: dict[str, Any] = {"method": "POST", "url": URL, "headers": {}, "body": BODY}
    return sign_request(**request | changes, key=key, key_id="cleveland", now=now)


def _verify(headers: dict[str, str], now: datetime = NOW, **changes: Any) -> VerifiedRequest:
    request: dict[str, Any] = {"method": "POST", "url": URL, "body": BODY}
    keys = {"cleveland": KEY.public}
    return verify_request(
        headers=headers, resolve=keys.get, now=now, max_skew_seconds=60, **request | changes
    )


def _refused(fault: Fault, headers: dict[str, str], **changes: Any) -> str:
    with pytest.raises(RequestRefused) as caught:
        _verify(headers, **changes)
    assert caught.value.fault is fault
    return str(caught.value)


def test_a_signed_request_tells_who_sent_it() -> None:
    verified = _verify(_sign())
    assert (verified.key_id, verified.created) == ("cleveland", NOW)
    assert verified.body_digest == hashlib.sha256(BODY).hexdigest()


def test_signatures_are_those_of_the_standard() -> None:
    """RFC 9421, section 2.5: the signature base is spelled out here by hand."""
    headers = _sign()
    parameters = headers["Signature-Input"].removeprefix("cloister=")
    base = (
        '"@method": POST\n"@path": /site-api/v1/assignments\n"@query": ?wait=20\n'
        f'"content-digest": {headers["Content-Digest"]}\n"@signature-params": {parameters}'
    )
    signature = base64.b64decode(headers["Signature"].removeprefix("cloister=:").rstrip(":"))
    assert signature == KEY.sign(base.encode())
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert headers["Content-Digest"] == f"sha-256=:{digest}:"


@pytest.mark.parametrize("body", [None, b""])
@pytest.mark.parametrize("url", ["/", "/a", "/a?b=c&b=d", "//a//b", "/%C3%A9", "https://hub"])
def test_requests_without_body_and_of_any_path(url: str, body: bytes | None) -> None:
    headers = _sign(method="get", url=url, body=body)
    assert _verify(headers, method="GET", url=url, body=b"").key_id == "cleveland"


def test_the_host_is_not_covered_because_proxies_change_it() -> None:
    assert _verify(_sign(), url="/site-api/v1/assignments?wait=20").key_id == "cleveland"


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"url": URL.replace("wait=20", "wait=21")},
        {"url": URL.replace("?wait=20", "")},
        {"url": URL.replace("assignments", "offer")},
        {"url": URL.replace("/site-api", "//site-api", 1)},
    ],
)
def test_what_is_covered_cannot_change(change: dict[str, str]) -> None:
    assert "does not match the request" in _refused(Fault.FORGED, _sign(), **change)


def test_the_body_cannot_change() -> None:
    assert "not the one that was signed" in _refused(Fault.BODY, _sign(), body=BODY + b" ")
    other = _sign(body=b"other")
    swapped = _sign() | {"Content-Digest": other["Content-Digest"]}
    _refused(Fault.FORGED, swapped, body=b"other")


def test_a_body_not_yet_read_is_left_to_the_caller() -> None:
    assert _verify(_sign(), body=None).body_digest == hashlib.sha256(BODY).hexdigest()


def test_another_key_is_refused() -> None:
    _refused(Fault.FORGED, _sign(key=OTHER))
    other = sign_request(
        method="POST", url=URL, headers={}, body=BODY, key=KEY, key_id="nobody", now=NOW
    )
    assert "enrol the site first" in _refused(Fault.UNKNOWN_KEY, other)


@pytest.mark.parametrize("name", ["Signature", "Signature-Input", "Content-Digest"])
def test_an_unsigned_request_is_refused(name: str) -> None:
    headers = {key: value for key, value in _sign().items() if key != name}
    assert name in _refused(Fault.UNSIGNED, headers)


def test_header_names_are_read_in_any_case() -> None:
    headers = {key.lower(): value for key, value in _sign().items()}
    assert _verify(headers | {"accept": "*/*"}).key_id == "cleveland"


@pytest.mark.parametrize("seconds", [-61, 61, -3600, 10**6])
def test_clocks_must_agree_both_ways(seconds: int) -> None:
    text = _refused(Fault.SKEWED, _sign(), now=NOW + timedelta(seconds=seconds))
    assert ("behind" if seconds > 0 else "ahead of") in text
    assert f"{abs(seconds)} s" in text


@pytest.mark.parametrize("seconds", [-60, 0, 60])
def test_a_small_skew_is_forgiven(seconds: int) -> None:
    assert _verify(_sign(), now=NOW + timedelta(seconds=seconds)).key_id == "cleveland"


def test_every_request_has_a_nonce_of_its_own() -> None:
    nonces = {_verify(_sign()).nonce for _ in range(50)}
    assert len(nonces) == 50
    assert all(len(base64.urlsafe_b64decode(nonce)) >= 16 for nonce in nonces)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"@query" ', ""),
        (' "content-digest"', ""),
        ('"@method" ', ""),
        (';nonce="', ';nonce="x'),
        (';alg="ed25519"', ""),
        (';alg="ed25519"', ';alg="rsa-v1_5-sha256"'),
        (';tag="cloister"', ""),
        ("created=", "created=1"),
        (';keyid="cleveland"', ""),
        ('"@method"', '"@method" "date"'),
        ("cloister=", ""),
        ("cloister=", "other="),
        ('"@path"', '"@path'),
    ],
)
def test_the_signature_input_cannot_be_edited(old: str, new: str) -> None:
    headers = _sign()
    edited = headers["Signature-Input"].replace(old, new, 1)
    assert edited != headers["Signature-Input"]
    with pytest.raises(RequestRefused):
        _verify(headers | {"Signature-Input": edited})


@pytest.mark.parametrize(
    "change",
    [
        {"Signature": "cloister=:AAAA:"},
        {"Signature": "cloister"},
        {"Signature": "é"},
        {"Signature": "x" * 5000},
        {"Content-Digest": "sha-256=:AAAA:"},
        {"Content-Digest": "md5=:AAAA:"},
    ],
)
def test_malformed_headers_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(RequestRefused) as caught:
        _verify(_sign() | change)
    assert caught.value.fault in (Fault.MALFORMED, Fault.FORGED)


def test_two_signatures_are_refused() -> None:
    first, second = _sign(), _sign()
    headers = dict(first)
    for name in ("Signature", "Signature-Input"):
        headers[name] = f"{first[name]}, {second[name].replace('cloister=', 'again=', 1)}"
    assert "exactly one" in _refused(Fault.MALFORMED, headers)
