"""Ringing sites that wait for work: hints, sent after commit and never relied on."""

from collections.abc import Iterable
from functools import partial

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)
GROUP = "sites"  # one channel group for all: a round rings once, however many sites it has


def ring(slugs: Iterable[str]) -> None:
    """After commit, wake the long polls of these sites; a lost ring costs them a second."""
    transaction.on_commit(partial(_ring, tuple(slugs)))


def _ring(slugs: tuple[str, ...]) -> None:
    message = {"type": "site.ring", "sites": list(slugs)}
    try:
        async_to_sync(get_channel_layer().group_send)(GROUP, message)
    except (RedisError, OSError) as error:
        log.warning("ring_lost", sites=len(slugs), error=type(error).__name__)
