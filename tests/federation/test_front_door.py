"""The site API's own handler: nothing large or slow is read, pages keep Django's way."""

import asyncio
import subprocess
import sys
from collections import deque
from typing import Any

import pytest

from federation.api import asgi
from tests.federation.conftest import apart
from tests.federation.sites import API

pytestmark = pytest.mark.asyncio


class Visitor:
    """An ASGI client that sends what it is told and keeps what comes back."""

    def __init__(self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None):
        raw_path, _, query = path.partition("?")
        self.scope = {
            "type": "http",
            "method": method,
            "path": raw_path,
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        }
        self.parts: deque[bytes] = deque()
        self.taken = 0
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if not self.parts:
            await asyncio.sleep(3600)
        self.taken += 1
        part = self.parts.popleft()
        return {"type": "http.request", "body": part, "more_body": bool(self.parts)}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def visit(self, *parts: bytes, open_end: bool = False) -> tuple[int, bytes]:
        self.parts.extend(parts or (b"",))
        if open_end:
            self.receive = self._never_ending(self.receive)
        application = asgi.with_site_api(pages)
        await asyncio.wait_for(application(self.scope, self.receive, self.send), 5)
        return self.sent[0]["status"], b"".join(m.get("body", b"") for m in self.sent[1:])

    def _never_ending(self, receive):
        async def more() -> dict[str, Any]:
            return {**await receive(), "more_body": True}

        return more


async def pages(scope, receive, send) -> None:
    """Stands for the rest of the hub."""
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"page"})


async def test_pages_go_their_own_way():
    assert await Visitor("/studies/").visit() == (299, b"page")


async def test_a_signed_request_is_answered_without_middleware(study, sites):
    site = sites["zurich"]
    headers = await apart(site.signed, "GET", "hello")
    visitor = Visitor(API + "hello", headers=headers)
    status, body = await visitor.visit()
    assert status == 200
    assert b'"zurich"' in body
    names = {name.lower() for name, _ in visitor.sent[0]["headers"]}
    assert {b"cache-control", b"x-content-type-options", b"content-security-policy"} <= names
    assert b"set-cookie" not in names


async def test_what_announces_too_much_is_not_read(db):
    visitor = Visitor(API + "offer", method="PUT", headers={"Content-Length": "999999"})
    status, body = await visitor.visit(b"x")
    assert (status, visitor.taken) == (413, 0)
    assert b"error" in body


async def test_what_grows_too_large_is_stopped(db):
    visitor = Visitor(API + "offer", method="PUT")
    status, _ = await visitor.visit(*[b"x" * 40_000] * 100)
    assert (status, visitor.taken) == (413, 2)


async def test_tensors_have_their_own_cap(db, settings):
    settings.SITE_API_MAX_BODY = 100_000
    path = API + "assignments/abc/tensors"
    assert (await Visitor(path, method="PUT").visit(b"x" * 90_000))[0] == 401
    assert (await Visitor(path, method="PUT").visit(b"x" * 60_000, b"x" * 60_000))[0] == 413


async def test_a_malformed_length_is_refused(db):
    visitor = Visitor(API + "hello", headers={"Content-Length": "many"})
    assert (await visitor.visit())[0] == 400


async def test_a_body_that_never_ends_is_given_up(db, monkeypatch):
    monkeypatch.setattr(asgi, "PATIENCE", 0.1)
    status, body = await Visitor(API + "offer", method="PUT").visit(b"x", open_end=True)
    assert status == 408
    assert b"slowly" in body


async def test_an_unknown_address_is_404(db):
    assert (await Visitor(API + "nothing").visit())[0] == 404


async def test_the_web_process_does_not_load_torch():
    program = (
        "import sys, config.asgi;"
        "import django.urls; django.urls.get_resolver().url_patterns;"
        "assert 'federation.api.views' in sys.modules;"
        "loaded = {'torch', 'opacus', 'federation.services.closing'} & set(sys.modules);"
        "assert not loaded, loaded"
    )
    command = [sys.executable, "-c", program]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
