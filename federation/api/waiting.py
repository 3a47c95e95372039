"""The long poll: wait for a ring or a second, whichever is first, holding no thread meanwhile."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from federation.api.errors import Refused
from federation.services import bell

log = structlog.get_logger(__name__)
LONGEST_WAIT = 30.0  # seconds
LOOK_EVERY = 1.0  # seconds between looks at the rows, ring or not
SUBSCRIBE_WITHIN = 1.0
MOST_AT_ONCE = 8  # long polls of one site; a sound worker needs one
_waiting: Counter[str] = Counter()
Sleep = Callable[[float], Awaitable[None]]


@asynccontextmanager
async def seat(slug: str) -> AsyncIterator[None]:
    """One of the few long polls a site may hold at a time. Raises Refused (429)."""
    if _waiting[slug] >= MOST_AT_ONCE:
        raise Refused(429, f"{MOST_AT_ONCE} requests of this site wait already", 2)
    _waiting[slug] += 1
    try:
        yield
    finally:
        _waiting[slug] -= 1
        if not _waiting[slug]:
            del _waiting[slug]


@asynccontextmanager
async def listening(slug: str) -> AsyncIterator[Sleep]:
    """Give a `sleep(seconds)` that a ring cuts short; without Redis it simply sleeps."""
    layer, group = get_channel_layer(), bell.group(slug)
    channel = await _subscribed(layer, group)
    if channel is None:
        yield asyncio.sleep
        return
    heard = asyncio.ensure_future(layer.receive(channel))

    async def sleep(seconds: float) -> None:
        nonlocal heard
        done, _ = await asyncio.wait({heard}, timeout=seconds)
        if done:
            heard.exception()
            heard = asyncio.ensure_future(layer.receive(channel))

    try:
        yield sleep
    finally:
        heard.cancel()
        with contextlib.suppress(asyncio.CancelledError, RedisError, OSError):
            await heard
        with contextlib.suppress(RedisError, OSError):
            await layer.group_discard(group, channel)


async def _subscribed(layer: object, group: str) -> str | None:
    """A new channel in the group; None when Redis does not answer (the rows still do)."""
    try:
        async with asyncio.timeout(SUBSCRIBE_WITHIN):
            channel = await layer.new_channel()
            await layer.group_add(group, channel)
            return channel
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("polling_without_ring", error=type(error).__name__)
        return None
