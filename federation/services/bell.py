"""Ringing sites that wait for work: hints, sent after commit and never relied on."""

from collections.abc import Iterable
from functools import partial

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)
RING = {"type": "site.ring"}


def group(slug: str) -> str:
    """The channel group on which the long polls of that institution's site listen."""
    return f"site.{slug}"


def ring(slugs: Iterable[str]) -> None:
    """After commit, wake the long polls of these sites; a lost ring costs them a second."""
    transaction.on_commit(partial(_ring, tuple(slugs)))


def _ring(slugs: tuple[str, ...]) -> None:
    try:
        async_to_sync(_send)(slugs)
    except (RedisError, OSError) as error:
        log.warning("ring_lost", sites=len(slugs), error=type(error).__name__)


async def _send(slugs: tuple[str, ...]) -> None:
    layer = get_channel_layer()
    for slug in slugs:
        await layer.group_send(group(slug), RING)
