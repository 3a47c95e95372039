"""Ed25519 keys: made where they are used, kept in their owner's file, named by 64 hex digits."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

HEX_DIGITS = frozenset("0123456789abcdef")


class BadSignature(ValueError):
    """The signature was not made by that key over exactly these bytes."""


class KeyFileError(ValueError):
    """A key file is absent, unreadable, or readable by others."""


@dataclass(frozen=True)
class SigningKey:
    """A private Ed25519 key (RFC 8032). Its text form shows the public half only."""

    private: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> Self:
        """A new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key that `save` wrote.

        Raises:
            KeyFileError: the file is absent, others may read it, or it holds no Ed25519 key.
        """
        return cls(_parsed(path, _private_bytes(path)))

    def save(self, path: Path) -> None:
        """Write the key as PEM (PKCS 8) with mode 0600, synced; never over an existing file.

        Raises:
            KeyFileError: the file exists already.
        """
        pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise KeyFileError(
                f"{path} exists already; move it away first if the key is really to be replaced"
            ) from None
        with os.fdopen(descriptor, "wb") as file:
            # The umask may have taken rights from the owner; never does it add any.
            os.fchmod(file.fileno(), 0o600)
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())

    @property
    def public(self) -> str:
        """The public key: 32 bytes as 64 lower-case hexadecimal digits."""
        return self.private.public_key().public_bytes_raw().hex()

    def sign(self, data: bytes) -> bytes:
        """The 64-byte signature over `data`."""
        return self.private.sign(data)

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public!r})"


def verify(public: str, data: bytes, signature: bytes) -> None:
    """Return if `signature` over `data` was made by the key `public` (64 hex digits).

    Raises:
        BadSignature: it was not, or `public` is no key.
    """
    try:
        public_key(public).verify(signature, data)
    except InvalidSignature:
        raise BadSignature(
            f"the signature does not match the key {public[:16]}…; it was forged, or the bytes "
            "were changed after signing"
        ) from None


def public_key(public: str) -> Ed25519PublicKey:
    """The key object of 64 lower-case hex digits. Raises BadSignature when they are no key."""
    if len(public) != 64 or not HEX_DIGITS.issuperset(public):
        raise BadSignature("a public key is written as 64 lower-case hexadecimal digits")
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))


def _private_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            _check_mode(path, os.fstat(file.fileno()).st_mode)
            return file.read(65536)
    except FileNotFoundError:
        raise KeyFileError(f"there is no key at {path}; enrol first, which makes one") from None
    except PermissionError:
        raise KeyFileError(f"{path} cannot be read; run as the person who owns it") from None


def _check_mode(path: Path, mode: int) -> None:
    if stat.S_IMODE(mode) & 0o077:
        raise KeyFileError(
            f"{path} can be read or written by others (mode {stat.S_IMODE(mode):04o}); "
            f"run: chmod 600 {path} — and enrol anew if others had access to this machine"
        )


def _parsed(path: Path, pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise KeyFileError(f"{path} holds no PEM private key; restore it or enrol anew") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a key of another kind; Ed25519 is needed")
    return key
