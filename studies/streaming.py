"""Answers that are sent while they are made, whatever server asks: nothing is held whole."""

from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse


class Streamed(StreamingHttpResponse):
    """Pieces of a synchronous iterator; Django alone would gather them all under ASGI."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Make each piece in the request's own thread, where its database connection is."""
        parts = iter(self.streaming_content)
        while (part := await sync_to_async(next)(parts, None)) is not None:
            yield part
