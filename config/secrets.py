"""Secrets that an installation makes for itself on its first start."""

import os
import secrets
from pathlib import Path


def own_secret(path: Path) -> str:
    """Return the secret kept in `path` (mode 0600), making it first where there is none.

    Two processes may start at once: O_EXCL lets one write, the other reads.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text()
