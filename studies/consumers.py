"""Forwarding news to one open page: an event id and a kind, never a number, never a command.

The right to listen is judged before the socket is accepted and again before every message, so a
role taken away is a socket closed. Messages may arrive out of order: the browser orders by id.
"""

import time
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from redis.exceptions import ConnectionError as RedisDown

from studies.selectors import news
from studies.services.events import EVERYBODY, person_group

REFUSED, UNKNOWN_MESSAGE, TOO_FAST, TRY_LATER = 4403, 4400, 4429, 1013
PING, PING_SECONDS = "ping", 1.0  # the only message a browser may send, and how often at most
SAME_NEWS_SECONDS = 0.25  # news without a row (progress) are forwarded no faster, for each kind
LARGEST_ID = 2**63 - 1


class NewsConsumer(AsyncJsonWebsocketConsumer):
    """One socket of one person, on one study or (without a slug) on the home page."""

    async def connect(self) -> None:
        """Check login, session, right and `after`; join; accept; replay what was missed."""
        self.joined: list[str] = []
        self.last_ping = -PING_SECONDS
        self.last_sent: dict[str, float] = {}
        self.slug: str | None = self.scope["url_route"]["kwargs"].get("slug")
        after = _after(self.scope["query_string"])
        if after is None or not await self._may_listen():
            await self.close(REFUSED)
            return
        try:
            await self._join()
        except RedisDown:
            await self.close(TRY_LATER)
            return
        await self.accept()
        if after >= 0:
            await self._catch_up(after)

    async def disconnect(self, code: int) -> None:
        """Leave the groups; with Redis away there is nothing left to leave."""
        for group in self.joined:
            try:
                await self.channel_layer.group_discard(group, self.channel_name)
            except RedisDown:
                return

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any
    ) -> None:
        """Answer a ping; anything else, and a ping too soon, closes the socket."""
        now = time.monotonic()
        if text_data != PING:
            await self.close(UNKNOWN_MESSAGE)
        elif now - self.last_ping < PING_SECONDS:
            await self.close(TOO_FAST)
        else:
            self.last_ping = now
            await self.send_json({"id": None, "kind": "pong"})

    async def news(self, message: dict[str, Any]) -> None:
        """Forward one piece of news, if it is for this person, and the person may still listen."""
        if self._too_soon(message):
            return
        if not await self._may_listen():
            await self.close(REFUSED)
        elif await self._audible(message):
            self.last_sent[message["kind"]] = time.monotonic()
            await self.send_json({"id": message["id"], "kind": message["kind"]})

    async def recheck(self, message: dict[str, Any]) -> None:
        """The person's rights changed: close at once when nothing is left to listen to."""
        if not await self._may_listen():
            await self.close(REFUSED)

    async def _join(self) -> None:
        own = EVERYBODY if self.slug is None else f"study.{self.slug}"
        for group in (own, person_group(self.scope["user"].pk)):
            await self.channel_layer.group_add(group, self.channel_name)
            self.joined.append(group)

    async def _catch_up(self, after: int) -> None:
        missed = database_sync_to_async(news.missed)
        for item in await missed(self.scope["user"], self.slug, after):
            await self.send_json({"id": item.id, "kind": item.kind})

    def _too_soon(self, message: dict[str, Any]) -> bool:
        """Progress of many sites comes in bursts; the panel that it makes stale is the same."""
        last = self.last_sent.get(message["kind"], -SAME_NEWS_SECONDS)
        return message["id"] is None and time.monotonic() - last < SAME_NEWS_SECONDS

    @database_sync_to_async
    def _may_listen(self) -> bool:
        session, person = self.scope.get("session"), self.scope.get("user")
        if person is None or not person.is_authenticated or session is None:
            return False
        logged_in = bool(session.session_key) and session.exists(session.session_key)
        return logged_in and news.may_listen(person, self.slug)

    @database_sync_to_async
    def _audible(self, message: dict[str, Any]) -> bool:
        return news.audible(
            self.scope["user"],
            event_id=message["id"],
            study_slug=message["study"],
            institution_slug=message["institution"],
        )


def _after(query_string: bytes) -> int | None:
    """The id to catch up from; -1 when none is asked for, None when it is no id."""
    text = parse_qs(query_string.decode("ascii", "replace")).get("after", ["-1"])[-1]
    if text == "-1":
        return -1
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    return int(text) if int(text) <= LARGEST_ID else None
