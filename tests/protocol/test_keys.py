"""Keys: known answers of RFC 8032, and files that only their owner can read."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from federation.protocol.keys import BadSignature, KeyFileError, SigningKey, verify

# RFC 8032, section 7.1, test 2.
SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_known_answer() -> None:
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED)))
    assert key.public == PUBLIC
    assert key.sign(b"\x72").hex() == SIGNATURE
    verify(PUBLIC, b"\x72", bytes.fromhex(SIGNATURE))


@pytest.mark.parametrize(
    ("public", "data", "signature"),
    [
        (PUBLIC, b"\x73", bytes.fromhex(SIGNATURE)),
        (PUBLIC, b"\x72", bytes.fromhex(SIGNATURE)[:-1]),
        (PUBLIC, b"\x72", b""),
        (PUBLIC.upper(), b"\x72", bytes.fromhex(SIGNATURE)),
        (PUBLIC[:-2], b"\x72", bytes.fromhex(SIGNATURE)),
        ("zz" * 32, b"\x72", bytes.fromhex(SIGNATURE)),
    ],
    ids=["data", "short signature", "no signature", "upper case", "short key", "no key"],
)
def test_anything_else_is_refused(public: str, data: bytes, signature: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(public, data, signature)


def test_saved_key_comes_back_and_is_private(tmp_path: Path) -> None:
    key, path = SigningKey.generate(), tmp_path / "site.key"
    before = os.umask(0)
    try:
        key.save(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path).public == key.public
    assert key.private.private_bytes_raw().hex() not in repr(key)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    SigningKey.generate().save(path)
    content = path.read_bytes()
    with pytest.raises(KeyFileError, match="exists already; move it away"):
        SigningKey.generate().save(path)
    assert path.read_bytes() == content


def test_another_key_is_refused() -> None:
    with pytest.raises(BadSignature):
        verify(SigningKey.generate().public, b"\x72", bytes.fromhex(SIGNATURE))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_others_can_reach_is_refused_with_advice(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "site.key"
    SigningKey.generate().save(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=r"run: chmod 600 .*site\.key"):
        SigningKey.load(path)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="there is no key"):
        SigningKey.load(tmp_path / "absent.key")
    path = tmp_path / "site.key"
    path.write_text("not a key")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="no PEM private key"):
        SigningKey.load(path)
    other = generate_private_key(SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyFileError, match="Ed25519 is needed"):
        SigningKey.load(path)
