"""The institution's rows, encoded once per file and protocol and kept in memory."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federation.protocol.contract import Encoded, load
from federation.protocol.document import Protocol
from federation.protocol.keys import SigningKey

_Version = tuple[Path, int, int, str]


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows held out; each privacy unit is on one side for ever."""

    train: Encoded
    holdout: Encoded


def holdout_secret(key: SigningKey) -> bytes:
    """32 bytes that decide the hold-out, derived from the site's key (HKDF, RFC 5869).

    Nobody else can say who was held out, and the same key gives the same split in every round.
    """
    derive = HKDF(SHA256(), 32, salt=None, info=b"cloister-holdout-v1")
    return derive.derive(key.private.private_bytes_raw())


class Datasets:
    """Opens data files; only the round executor calls it, after the charge is on disk."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._kept: dict[_Version, Split] = {}

    def read(self, path: Path, protocol: Protocol, protocol_digest: str) -> Split:
        """The split rows of `path` under `protocol`'s contract.

        Raises:
            ContractError: the rows do not fit; its text holds no value and no count.
        """
        version = _version(path, protocol_digest)
        if version not in self._kept:
            rows = read_split(path, protocol, self._secret)
            # One dataset under one protocol at a time: a changed file replaces its old rows.
            self._kept = {key: kept for key, kept in self._kept.items() if key[0] != path}
            self._kept[version] = rows
        return self._kept[version]


def read_split(path: Path, protocol: Protocol, secret: bytes) -> Split:
    """Read and encode, without keeping. Raises ContractError."""
    holdout = protocol.evaluation.holdout
    return Split(*load(path, protocol.data, holdout=holdout, key=secret))


def _version(path: Path, protocol_digest: str) -> _Version:
    try:
        status = path.stat()
    except OSError:
        return (path, 0, 0, protocol_digest)  # `load` says what is wrong with the file
    return (path, status.st_mtime_ns, status.st_size, protocol_digest)
