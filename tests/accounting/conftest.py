"""The small federation that most tests here are about, and its surroundings."""

import pytest

from tests.accounting.world import PASSWORD, World, build, play


@pytest.fixture
def sealed(db, settings, tmp_path) -> World:
    """Its study runs, and nothing is spent yet; the hub's key is the test's own."""
    settings.HUB_KEY_FILE = tmp_path / "hub.key"
    return build()


@pytest.fixture
def world(sealed: World) -> World:
    """The same after three rounds."""
    play(sealed)
    return sealed


@pytest.fixture
def officer_can_sign(world: World) -> None:
    world.officer.set_password(PASSWORD)
    world.officer.save()


@pytest.fixture
def channels_in_memory(settings) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
