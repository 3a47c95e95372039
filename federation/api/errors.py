"""What the site API answers when it says no: a status and one sentence, always as JSON."""

from typing import Any

from django.http import HttpResponse, JsonResponse

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


class Refused(Exception):
    """The request is refused with this HTTP status; `retry_after` in seconds, where it helps."""

    def __init__(self, status: int, error: str, retry_after: int | None = None) -> None:
        super().__init__(error)
        self.status, self.retry_after = status, retry_after


def refusal(error: Refused) -> HttpResponse:
    """The response of a refusal."""
    response = answer({"error": str(error)}, status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


def answer(document: dict[str, Any], status: int = 200) -> HttpResponse:
    """A JSON response that nobody keeps or renders."""
    return JsonResponse(document, status=status, headers=HEADERS)


def raw(data: bytes, content_type: str, **headers: str) -> HttpResponse:
    """Bytes as they are."""
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(data, content_type=content_type, headers=HEADERS | extra)


def nothing() -> HttpResponse:
    """204: done, or nothing to hand out."""
    return HttpResponse(status=204, headers=HEADERS)
