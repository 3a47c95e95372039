"""Fixtures that every part shares.

Property tests draw the same examples in every run, so that a red build says something about the
change before it; CLOISTER_EXAMPLES=other draws new ones.
"""

import os
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import settings

from config.launch.ports import wait_for_port
from tests.append_only import _emptied_by_flush_only  # noqa: F401  (a fixture)
from tests.environment import VALKEY, VALKEY_PORT

settings.register_profile("same", derandomize=True)
settings.register_profile("other", derandomize=False)
settings.load_profile(os.environ.get("CLOISTER_EXAMPLES", "same"))


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """A real, embedded Valkey at settings.REDIS_URL for the whole test process."""
    server = subprocess.Popen(VALKEY.arguments, stdout=subprocess.DEVNULL)
    wait_for_port(VALKEY_PORT, 10)
    yield VALKEY.url
    server.terminate()
    server.wait()
