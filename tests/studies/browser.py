"""One browser tab's socket, through the same middleware as the hub's own ASGI application."""

import json
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from config.asgi import application
from studies.models import Person

CLOSED = "websocket.close"


class Tab:
    """Opens with `async with`; `.accepted` says whether the hub let it in."""

    def __init__(
        self, address: str, person: Person | None, origin: str = "http://localhost"
    ) -> None:
        self.address, self.person, self.origin = address, person, origin
        self.session: SessionStore | None = None

    async def __aenter__(self) -> Self:
        headers = [(b"origin", self.origin.encode()), (b"host", b"localhost")]
        if self.person is not None:
            self.session = await database_sync_to_async(log_in)(self.person)
            cookie = f"{settings.SESSION_COOKIE_NAME}={self.session.session_key}"
            headers.append((b"cookie", cookie.encode()))
        self.socket = ApplicationCommunicator(application, scope(self.address, headers))
        await self.socket.send_input({"type": "websocket.connect"})
        answer = await self.socket.receive_output(timeout=5)
        self.accepted, self.code = answer["type"] == "websocket.accept", answer.get("code")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.socket.wait(timeout=5)

    async def hears(self) -> tuple[int | None, str]:
        """The next news; fails when there are none or when they say more than id and kind."""
        output = await self.socket.receive_output(timeout=5)
        assert output["type"] == "websocket.send"
        message = json.loads(output["text"])
        assert set(message) == {"id", "kind"}
        return message["id"], message["kind"]

    async def hears_nothing(self) -> bool:
        return await self.socket.receive_nothing(timeout=0.15)

    async def says(self, text: str | None = None, data: bytes | None = None) -> None:
        await self.socket.send_input({"type": "websocket.receive", "text": text, "bytes": data})

    async def closes(self) -> int:
        """The code with which the hub closes the socket."""
        message: dict[str, Any] = await self.socket.receive_output(timeout=5)
        assert message["type"] == CLOSED
        return message["code"]


def scope(address: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """The ASGI scope of a WebSocket request."""
    parts = urlsplit(address)
    return {
        "type": "websocket",
        "path": unquote(parts.path),
        "query_string": parts.query.encode(),
        "headers": headers,
        "subprotocols": [],
    }


def log_in(person: Person) -> SessionStore:
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.save()
    return session
