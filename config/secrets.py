"""Secrets that an installation makes for itself on its first start."""

import contextlib
import os
import secrets
from pathlib import Path


def own_secret(path: Path) -> str:
    """Return the secret kept in `path` (mode 0600), making it first where there is none.

    Several processes may start at once: a whole file is linked into place, so one secret wins and
    nobody reads half of one.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        mine = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):
            os.link(mine, path)
        mine.unlink()
    return path.read_text()
