"""The site API's own way into Django: sizes and speed capped before reading, no middleware.

Django reads a whole body before any view runs; here a body that announces too much, grows too
large or comes too slowly is answered while it comes. Sites have no session, cookie or language,
so the middleware of pages would only cost time; the headers that it sets, the views set.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse

from federation.api.errors import Refused, refusal
from federation.api.routes import LONGEST_STATEMENT, SMALL

PREFIX = "/site-api/"
PATIENCE = 30.0  # seconds without a byte of an unfinished body

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class SiteApi(ASGIHandler):
    """Django's handler without middleware: the views authenticate by signature alone."""

    def load_middleware(self, is_async: bool = False) -> None:
        """No middleware at all; exceptions still become responses."""
        self._view_middleware = []
        self._template_response_middleware = []
        self._exception_middleware = []
        self._middleware_chain = convert_exception_to_response(self._get_response_async)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As Django's, without its signals: each would visit a thread made for this request.

        What they are for, `routes.in_database` does. A caller that hangs up ends the work.
        """
        try:
            file = await self.read_body(receive)
        except RequestAborted:
            return
        with file:
            request, wrong = self.create_request(scope, file)
            if request is None:
                await self.send_response(wrong, send)
                return
            answering = asyncio.ensure_future(self._answer(request, send))
            leaving = asyncio.ensure_future(receive())
            try:
                await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
                answering.cancel()
                await asyncio.wait({answering, leaving})
            if not answering.cancelled():
                answering.result()

    async def _answer(self, request: HttpRequest, send: Send) -> None:
        await self.send_response(await self.get_response_async(request), send)

    async def read_body(self, receive: Receive) -> IO[bytes]:
        """As Django's, but a body that is refused half-way leaves no open file behind."""
        with ExitStack() as on_error:
            limit = settings.FILE_UPLOAD_MAX_MEMORY_SIZE
            file = on_error.enter_context(SpooledTemporaryFile(max_size=limit))
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestAborted
                file.write(message.get("body", b""))
                more = message.get("more_body", False)
            on_error.pop_all()
        file.seek(0)
        return file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the body is counted and timed as it comes."""
        body = _Body(receive, _limit(scope["path"]))
        try:
            body.check_announced(scope)
            await self.handle(scope, body.receive, send)
        except Refused as error:
            await self.send_response(_closing(refusal(error)), send)


def with_site_api(pages: Application) -> Application:
    """`pages`, with the addresses under PREFIX answered by the site API's own handler."""
    site_api = SiteApi()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        chosen = site_api if scope["path"].startswith(PREFIX) else pages
        await chosen(scope, receive, send)

    return application


class _Body:
    """A request's body on its way in."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._seen, self._complete = 0, False

    def check_announced(self, scope: Scope) -> None:
        """Raise Refused when Content-Length is too large, or no number."""
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit():
            raise Refused(400, "Content-Length is not a number")
        self._check(int(announced))

    async def receive(self) -> dict[str, Any]:
        """The next message; after the body's end, whatever comes, however long it takes."""
        if self._complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), PATIENCE)
        except TimeoutError as error:
            raise Refused(408, "the body came too slowly; try again", 5) from error
        self._seen += len(message.get("body", b""))
        self._check(self._seen)
        self._complete = not message.get("more_body", False)
        return message

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise Refused(413, f"at most {self._limit} bytes are accepted here")


def _limit(path: str) -> int:
    if path.endswith("/tensors"):
        return settings.SITE_API_MAX_BODY
    return LONGEST_STATEMENT if path.endswith("/journal") else SMALL


def _closing(response: HttpResponse) -> HttpResponse:
    """The rest of the body was not read, so the connection cannot be used again."""
    response["Connection"] = "close"
    return response
