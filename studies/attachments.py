"""Answering with a file to keep: one way for all, and none that a cache may hold."""

from collections.abc import Iterator
from typing import BinaryIO

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase

from studies.streaming import Streamed

JSON = "application/json"
PRIVATE = "private, no-store"


def attachment(
    content: bytes | str | BinaryIO | Iterator[str], kind: str, name: str
) -> HttpResponseBase:
    """A download of media type `kind` under `name`.

    A file is streamed and closed at its end; an iterator's pieces are sent while they are made.
    """
    answer: HttpResponseBase
    if isinstance(content, bytes | str):
        answer = HttpResponse(content, content_type=kind)
    elif isinstance(content, Iterator) and not hasattr(content, "read"):
        answer = Streamed(content, content_type=kind)
    else:
        answer = FileResponse(content, content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = PRIVATE
    return answer
