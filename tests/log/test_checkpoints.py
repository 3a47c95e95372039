"""A checkpoint is the hub's word about one size and one root, and nothing else passes for it."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.log.checkpoints import (
    CONTEXT,
    KEYS,
    Checkpoint,
    CheckpointError,
    SignedCheckpoint,
    origin,
    signed,
)
from federation.protocol.keys import SigningKey, verify

KEY = SigningKey.generate()
AT = "2026-11-21T13:00:00.000000Z"
NOTE = Checkpoint(origin(KEY.public), 7, "ab" * 32, AT)


def test_the_text_has_four_lines():
    assert NOTE.text().split("\n") == [
        f"cloister/{KEY.public[:16]}",
        "7",
        base64.b64encode(b"\xab" * 32).decode(),
        AT,
        "",
    ]


def test_a_signed_checkpoint_survives_its_json():
    word = signed(NOTE, KEY)
    again = SignedCheckpoint.from_json(word.to_json())
    assert again == word
    assert tuple(word.to_json()) == KEYS
    again.verify(KEY.public, verify)


def test_the_signature_is_over_context_and_text():
    word = signed(NOTE, KEY)
    signature = base64.b64decode(word.signature)
    verify(KEY.public, CONTEXT + NOTE.text().encode(), signature)
    with pytest.raises(ValueError, match="forged"):
        verify(KEY.public, NOTE.text().encode(), signature)


@pytest.mark.parametrize("change", [{"size": 8}, {"root": "ac" * 32}, {"at": AT[:-2] + "1Z"}])
def test_whatever_is_changed_breaks_the_signature(change):
    forged = SignedCheckpoint.from_json(signed(NOTE, KEY).to_json() | change)
    with pytest.raises(CheckpointError, match="forged"):
        forged.verify(KEY.public, verify)


def test_another_hub_cannot_speak_for_this_one():
    other = SigningKey.generate()
    theirs = signed(Checkpoint(origin(other.public), 7, "ab" * 32, AT), other)
    with pytest.raises(CheckpointError, match="the hub's is"):
        theirs.verify(KEY.public, verify)
    with pytest.raises(CheckpointError, match="not the origin"):
        signed(NOTE, other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("origin", "cloister/x"),
        ("origin", f"cloister/{'a' * 16}\n9"),
        ("size", -1),
        ("size", True),
        ("size", "7"),
        ("size", 7.0),
        ("root", "AB" * 32),
        ("root", None),
        ("at", "yesterday"),
        ("at", AT + "\n"),
        ("key", "ab"),
        ("signature", "%%%"),
        ("signature", "YQ=="),
        ("signature", 5),
    ],
)
def test_a_field_without_its_form_is_refused(name, value):
    with pytest.raises(CheckpointError):
        SignedCheckpoint.from_json(signed(NOTE, KEY).to_json() | {name: value})


@pytest.mark.parametrize("document", [None, [], {}, "text", {"origin": "x"}])
def test_something_else_is_no_checkpoint(document):
    with pytest.raises(CheckpointError, match="JSON object with"):
        SignedCheckpoint.from_json(document)


def test_base64_with_spare_bits_is_refused():
    word = signed(NOTE, KEY).to_json()
    tail = word["signature"][-3]
    spare = chr(ord(tail) + 1) if tail.isalnum() and tail not in "zZ9" else "B"
    with pytest.raises(CheckpointError):
        SignedCheckpoint.from_json(word | {"signature": word["signature"][:-3] + spare + "=="})


@settings(max_examples=50)
@given(st.integers(0, 10**15), st.binary(min_size=32, max_size=32))
def test_every_size_and_root_is_carried(size, root):
    note = Checkpoint(origin(KEY.public), size, root.hex(), AT)
    word = SignedCheckpoint.from_json(signed(note, KEY).to_json())
    word.verify(KEY.public, verify)
    assert word.checkpoint == note
