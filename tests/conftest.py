"""Fixtures that every part shares."""

import subprocess
from collections.abc import Iterator

import pytest

from config.launch.ports import wait_for_port
from tests.append_only import _emptied_by_flush_only  # noqa: F401  (a fixture)
from tests.environment import VALKEY, VALKEY_PORT


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """A real, embedded Valkey at settings.REDIS_URL for the whole test process."""
    server = subprocess.Popen(VALKEY.arguments, stdout=subprocess.DEVNULL)
    wait_for_port(VALKEY_PORT, 10)
    yield VALKEY.url
    server.terminate()
    server.wait()
