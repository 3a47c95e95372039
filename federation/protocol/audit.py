"""What an empirical audit sends: a commitment to secret coins before round 1, the coins at the end.

Nothing here depends on a site's rows, so nothing here has a price; the forms are fixed to the
byte, so that the gate can tell.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.protocol.tensors import Tensors

COMMIT, REVEAL = "commit", "reveal"
FREE = frozenset({COMMIT, REVEAL})  # the phases whose answers cost nothing
SALT_BYTES = 32
DIGEST_BYTES = 32


class FalseCoins(ValueError):
    """The revealed coins are malformed, or not those that were committed to."""


@dataclass(frozen=True)
class Public:
    """An answer without a price: no row of anybody's was read for it.

    Raises ValueError when there is no tensor in it.
    """

    tensors: Tensors

    def __post_init__(self) -> None:
        """Refuse an empty answer."""
        if not self.tensors:
            raise ValueError("a public value needs at least one tensor")


@dataclass(frozen=True)
class Coins:
    """Each canary's coin, 1 where it is in, and the salt that hides them until they are revealed.

    Raises FalseCoins unless `flips` is a text of 0 and 1 and `salt` has 32 bytes.
    """

    flips: str
    salt: bytes

    def __post_init__(self) -> None:
        """Refuse what cannot be coins."""
        if not self.flips or set(self.flips) - {"0", "1"} or len(self.salt) != SALT_BYTES:
            raise FalseCoins("coins are a text of 0 and 1 with a salt of 32 bytes")

    @property
    def values(self) -> tuple[int, ...]:
        """The coins as numbers."""
        return tuple(int(flip) for flip in self.flips)

    @property
    def commitment(self) -> bytes:
        """SHA-256(salt ‖ coins as the text "0101…" in ASCII), 32 bytes."""
        return hashlib.sha256(self.salt + self.flips.encode("ascii")).digest()

    def check(self, commitment: str) -> None:
        """Return where `commitment` (hexadecimal) is to these coins. Raises FalseCoins."""
        if not hmac.compare_digest(self.commitment.hex(), commitment):
            raise FalseCoins("the revealed coins are not those that were committed to")


def shape(phase: str, canaries: int) -> Tensors:
    """Zeros in the one form that an answer to `phase` may have. KeyError for other phases."""
    forms = {
        COMMIT: {"commitment": DIGEST_BYTES},
        REVEAL: {"coins": canaries, "salt": SALT_BYTES},
    }
    return {name: np.zeros(size, np.uint8) for name, size in forms[phase].items()}


def committed(coins: Coins) -> Public:
    """The answer to the phase `commit`."""
    return Public({"commitment": np.frombuffer(coins.commitment, np.uint8)})


def revealed(coins: Coins) -> Public:
    """The answer to the phase `reveal`."""
    return Public(
        {
            "coins": np.array(coins.values, np.uint8),
            "salt": np.frombuffer(coins.salt, np.uint8),
        }
    )


def commitment_of(tensors: Tensors) -> str:
    """The commitment in an answer of the right shape, hexadecimal."""
    return bytes(tensors["commitment"]).hex()


def coins_of(tensors: Tensors) -> Coins:
    """The coins in an answer of the right shape. Raises FalseCoins where one is neither 0 nor 1."""
    if not np.isin(tensors["coins"], (0, 1)).all():
        raise FalseCoins("a coin is neither 0 nor 1")
    return Coins("".join(map(str, tensors["coins"].tolist())), bytes(tensors["salt"]))


def coins_from(facts: dict[str, Any]) -> Coins:
    """The coins of a ledger row or a file: text and hexadecimal salt. Raises FalseCoins."""
    try:
        return Coins(str(facts["coins"]), bytes.fromhex(facts["salt"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FalseCoins("coins and salt are missing or malformed") from error


def facts_of(coins: Coins) -> dict[str, str]:
    """What `coins_from` reads."""
    return {"coins": coins.flips, "salt": coins.salt.hex()}


def drawn(count: int, random: Sequence[int] | bytes, salt: bytes) -> Coins:
    """Coins from `count` random bytes: the lowest bit of each."""
    return Coins("".join(str(byte & 1) for byte in random[:count]), salt)
