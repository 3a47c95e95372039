"""The coins of an empirical audit at this site: drawn once per study and kept until revealed."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from federation.protocol.audit import SALT_BYTES, Coins, FalseCoins, coins_from, drawn, facts_of
from federation.protocol.canonical import canonical_json
from federation.site.store import write_durably


class CoinsLost(RuntimeError):
    """The file of a study's coins is damaged; its text says what to do."""


class CoinBox:
    """One file for each study and protocol digest in `folder`, made when first needed.

    The coins come from the operating system's generator and are on disk before anything that
    depends on them is sent or computed; a second call reads them back.
    """

    def __init__(self, folder: Path, random: Callable[[int], bytes] = os.urandom) -> None:
        self._folder = folder
        self._random = random

    def draw(self, study: str, protocol_digest: str, count: int) -> Coins:
        """The study's coins, drawn now where there are none yet. Raises CoinsLost, OSError."""
        found = self.find(study, protocol_digest)
        if found is not None:
            return found
        coins = drawn(count, self._random(count), self._random(SALT_BYTES))
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_durably(self._path(study, protocol_digest), canonical_json(facts_of(coins)))
        return coins

    def find(self, study: str, protocol_digest: str) -> Coins | None:
        """The study's coins, None where none were drawn. Raises CoinsLost."""
        path = self._path(study, protocol_digest)
        try:
            return coins_from(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, FalseCoins) as error:
            raise CoinsLost(
                f"{path} is damaged; restore it from a backup. Until then the audit of this study "
                "cannot be completed; the study itself is not touched"
            ) from error

    def _path(self, study: str, protocol_digest: str) -> Path:
        return self._folder / f"{study}.{protocol_digest}.json"
