"""The long poll: wait for a ring or a second, whichever is first, holding no thread meanwhile."""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

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
    ear, rung = _EARS.setdefault(asyncio.get_running_loop(), _Ear()), asyncio.Event()
    await ear.listen()
    ear.waiting[slug].add(rung)

    async def sleep(seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(rung.wait(), seconds)
        rung.clear()

    try:
        yield sleep
    finally:
        ear.waiting[slug].discard(rung)


class _Ear:
    """What one event loop hears of the bell: one subscription, kept for all sites' long polls."""

    def __init__(self) -> None:
        self.waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._hearing: asyncio.Task[None] | None = None
        self._subscribing = asyncio.Lock()

    async def listen(self) -> None:
        """Subscribe where nothing is subscribed; when Redis does not answer, the rows still do."""
        try:
            async with asyncio.timeout(SUBSCRIBE_WITHIN), self._subscribing:
                if self._hearing is None or self._hearing.done():
                    self._hearing = asyncio.ensure_future(self._hear(await _subscribed()))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("polling_without_ring", error=type(error).__name__)

    async def _hear(self, channel: str) -> None:
        layer = get_channel_layer()
        while True:
            message = await layer.receive(channel)
            for slug in message["sites"]:
                for rung in self.waiting.get(slug, ()):
                    rung.set()


_EARS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Ear] = WeakKeyDictionary()


async def _subscribed() -> str:
    """A new channel in the bell's group."""
    layer = get_channel_layer()
    channel: str = await layer.new_channel()
    await layer.group_add(bell.GROUP, channel)
    return channel
