"""The people and the study of tests/studies, seen through a browser's eyes."""

from collections.abc import Callable

import pytest
from django.test import Client

from studies.models import Person
from tests.pages.scenes import played, url  # noqa: F401
from tests.studies.conftest import (  # noqa: F401
    approved,
    cast,
    draft,
    hospitals,
    running,
    submitted,
)


@pytest.fixture(autouse=True)
def _quiet_surroundings(settings, tmp_path) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.BLOBS = tmp_path / "blobs"


@pytest.fixture
def browse() -> Callable[[Person | None], Client]:
    """browse(person): a logged-in client; without one, somebody anonymous."""

    def open_for(person: Person | None = None) -> Client:
        client = Client()
        if person is not None:
            client.force_login(person)
        return client

    return open_for
