"""The site's folder: where each of its files lies, and that one process at a time works in it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class FolderBusy(RuntimeError):
    """Another worker already runs in this folder."""


@dataclass(frozen=True)
class Folder:
    """Names of the files inside `path`; nothing is created until it is asked for."""

    path: Path

    @property
    def config(self) -> Path:
        """The institution's own settings, written by its people."""
        return self.path / "site.toml"

    @property
    def key(self) -> Path:
        """The site's private key; it never leaves this folder."""
        return self.path / "site.key"

    @property
    def pin(self) -> Path:
        """What enrolment pinned: the hub's key and URL, and our own slug."""
        return self.path / "hub.json"

    @property
    def journal(self) -> Path:
        """The append-only record of what was charged and what left."""
        return self.path / "journal.sqlite3"

    @property
    def protocols(self) -> Path:
        """Approved protocols, one file for each digest."""
        return self.path / "protocols"

    @property
    def outbox(self) -> Path:
        """Signed answers, stored before their first byte is sent."""
        return self.path / "outbox"

    @property
    def coins(self) -> Path:
        """Coins of empirical audits, one file for each study; secret until revealed."""
        return self.path / "coins"

    @property
    def rows(self) -> Path:
        """Encoded rows of the datasets, made anew from their sources whenever they are missing."""
        return self.path / "rows"

    @property
    def kept(self) -> Path:
        """This site's own layers of personalised models, one folder for each study."""
        return self.path / "kept"

    def create(self) -> None:
        """Make the folder, readable by its owner alone."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder for this process; the lock ends with the process, however it ends.

        Raises FolderBusy when another process holds it: two workers would charge past each other.
        """
        handle = os.open(self.path / "site.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderBusy(
                f"another site worker already runs in {self.path}; stop it first, or give each "
                "institution its own folder"
            ) from error
        else:
            yield
        finally:
            os.close(handle)
