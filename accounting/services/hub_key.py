"""The hub's own signing key: made on first use, read ever after, never shown."""

import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from federation.protocol.keys import SigningKey


def hub_key() -> SigningKey:
    """The key in settings.HUB_KEY_FILE (mode 0600), made first where there is none."""
    return _load_or_create(Path(settings.HUB_KEY_FILE))


@lru_cache(maxsize=4)
def _load_or_create(file: Path) -> SigningKey:
    """Two processes or threads may come at once: linking lets one key win, all read that one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        mine = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        SigningKey.generate().save(mine)
        with suppress(FileExistsError):
            os.link(mine, file)
        mine.unlink()
    return SigningKey.load(file)
