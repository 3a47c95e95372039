"""The envelope: what was not signed by the expected key over exactly these bytes is refused."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.canonical import canonical_json
from federation.protocol.keys import SigningKey
from federation.protocol.messages import (
    CONTEXT,
    MAX_BYTES,
    ApprovedProtocol,
    Assignment,
    Contribution,
    MessageError,
    Offer,
    Refusal,
    check_enrolment_proof,
    enrolment_proof,
    open_envelope,
    sign,
)
from tests.protocol import samples
from tests.protocol.samples import KEY, OTHER

SIGNED = sign(samples.assignment(), KEY)


def _envelope(message: bytes, key: SigningKey = KEY, context: bytes = CONTEXT) -> bytes:
    signature = base64.b64encode(key.sign(context + message)).decode()
    return canonical_json({"key": key.public, "message": message.decode(), "signature": signature})


def _changed(name: str, value: Any) -> bytes:
    return canonical_json(json.loads(SIGNED) | {name: value})


def test_what_was_signed_comes_back() -> None:
    for message in (samples.assignment(), samples.contribution(), samples.refusal()):
        kinds = (Assignment, Contribution, Refusal)
        assert open_envelope(sign(message, KEY), KEY.public, kinds) == message
    offer = samples.offer()
    assert open_envelope(sign(offer, KEY), KEY.public, Offer) == offer
    approved = samples.approved()
    assert open_envelope(sign(approved, KEY), KEY.public, ApprovedProtocol) == approved


def test_the_same_message_gives_the_same_bytes() -> None:
    assert sign(samples.assignment(), KEY) == SIGNED
    assert json.loads(SIGNED)["message"].encode() == canonical_json(samples.assignment().to_json())


def test_another_key_is_refused_even_when_it_signs_well() -> None:
    with pytest.raises(MessageError, match="another key"):
        open_envelope(SIGNED, OTHER.public, Assignment)
    with pytest.raises(MessageError, match="another key"):
        open_envelope(sign(samples.assignment(), OTHER), KEY.public, Assignment)


def test_a_forged_signature_is_refused() -> None:
    forged = base64.b64encode(OTHER.sign(CONTEXT + b"anything")).decode()
    for signature in (forged, "", "!!", "é", base64.b64encode(b"short").decode()):
        with pytest.raises(MessageError, match="signature does not hold"):
            open_envelope(_changed("signature", signature), KEY.public, Assignment)


def test_a_signature_of_another_context_is_refused() -> None:
    message = canonical_json(samples.assignment().to_json())
    for context in (b"", b"cloister-enrol-v1\n"):
        with pytest.raises(MessageError, match="signature does not hold"):
            open_envelope(_envelope(message, context=context), KEY.public, Assignment)


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_no_byte_may_change(place: int, flip: int) -> None:
    changed = bytearray(SIGNED)
    changed[place] ^= flip
    with pytest.raises(MessageError):
        open_envelope(bytes(changed), KEY.public, Assignment)


@given(st.integers(0, len(SIGNED) - 1))
def test_no_byte_may_be_cut_off(length: int) -> None:
    with pytest.raises(MessageError):
        open_envelope(SIGNED[:length], KEY.public, Assignment)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(MessageError):
        open_envelope(data, KEY.public, Assignment)


def test_only_the_expected_kinds_are_opened() -> None:
    with pytest.raises(MessageError, match="contribution or refusal"):
        open_envelope(SIGNED, KEY.public, (Contribution, Refusal))
    unknown = canonical_json({"type": "shutdown", "version": 1})
    with pytest.raises(MessageError, match="type assignment"):
        open_envelope(_envelope(unknown), KEY.public, Assignment)


@pytest.mark.parametrize("message", [b"[]", b"null", b"3", b"{}", b'"assignment"'])
def test_signed_nonsense_is_refused(message: bytes) -> None:
    with pytest.raises(MessageError):
        open_envelope(_envelope(message), KEY.public, Assignment)


def test_one_value_has_one_text() -> None:
    message = canonical_json(samples.assignment().to_json())
    twice = message[:-1] + b',"version":1}'
    spaced = message.replace(b":", b": ", 1)
    for odd in (twice, spaced):
        with pytest.raises(MessageError, match="not canonical"):
            open_envelope(_envelope(odd), KEY.public, Assignment)
    with pytest.raises(MessageError, match="not canonical"):
        open_envelope(SIGNED + b"\n", KEY.public, Assignment)
    with pytest.raises(MessageError, match="exactly the keys"):
        open_envelope(_changed("more", "x"), KEY.public, Assignment)
    with pytest.raises(MessageError, match="must be text"):
        open_envelope(_changed("signature", 3), KEY.public, Assignment)


def test_the_size_is_capped_before_parsing() -> None:
    with pytest.raises(MessageError, match="larger"):
        open_envelope(b"[" * (MAX_BYTES + 1), KEY.public, Assignment)
    with pytest.raises(MessageError, match="truncated or not canonical"):
        open_envelope(b"[" * MAX_BYTES, KEY.public, Assignment)
    with pytest.raises(MessageError, match="larger than"):
        sign(samples.assignment(parameters={"x": "y" * MAX_BYTES}), KEY)


def test_enrolment_proof_holds_for_one_token_and_one_key() -> None:
    proof = enrolment_proof("token-1", KEY)
    check_enrolment_proof("token-1", KEY.public, proof)
    for token, public, text in (
        ("token-2", KEY.public, proof),
        ("token-1", OTHER.public, proof),
        ("token-1", KEY.public, proof[:-4]),
        ("token-1", "no key", proof),
    ):
        with pytest.raises(MessageError, match="signature does not hold"):
            check_enrolment_proof(token, public, text)
