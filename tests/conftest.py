"""Fixtures that every part shares.

Property tests draw the same examples in every run, so that a red build says something about the
change before it; CLOISTER_EXAMPLES=other draws new ones.
"""

import os
import subprocess
from collections.abc import Iterator

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from hypothesis import settings

from config.launch.ports import wait_for_port
from tests.append_only import _emptied_by_flush_only  # noqa: F401  (a fixture)
from tests.environment import VALKEY, VALKEY_PORT

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("other", derandomize=False, deadline=None)
settings.load_profile(os.environ.get("CLOISTER_EXAMPLES", "same"))


def _unsynced(connection: BaseDatabaseWrapper, **_: object) -> None:
    """No test in this process is about a power cut: the operating system may keep the rows."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")


connection_created.connect(_unsynced)


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """A real, embedded Valkey at settings.REDIS_URL for the whole test process."""
    server = subprocess.Popen(VALKEY.arguments, stdout=subprocess.DEVNULL)
    wait_for_port(VALKEY_PORT, 10)
    yield VALKEY.url
    server.terminate()
    server.wait()
