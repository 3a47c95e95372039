"""How a site API view is called: method, size, signature, one visit to a database thread.

Django would give every waiting request a thread of its own, with its own database connection.
Here a few threads serve everybody, and a request that only waits holds none.
"""

import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from accounting.services.budgets import BudgetError
from accounting.services.reconciliation import JournalsDiffer
from accounting.services.statements import BadStatement
from federation.api.authentication import Caller, authenticate
from federation.api.errors import Refused, refusal
from federation.protocol.messages import Statement
from federation.services import blobs, contributions, deliveries
from federation.services.witnessing import NoCheckpoint
from studies.services import institutions
from studies.services.errors import EnrolmentRefused, OfferRefused

SMALL = 64 * 1024 + 4096  # an envelope is at most 64 KiB
LONGEST_STATEMENT = Statement.max_bytes
THREADS = ThreadPoolExecutor(min(8, 4 * (os.cpu_count() or 1)), thread_name_prefix="site-api")
STATUS: dict[type[Exception], int] = {
    EnrolmentRefused: 403,
    OfferRefused: 400,
    BudgetError: 400,
    deliveries.NotFound: 404,
    deliveries.Closed: 409,
    contributions.BadMessage: 400,
    contributions.Conflict: 409,
    contributions.TensorsMissing: 409,
    blobs.BlobTooLarge: 413,
    blobs.DigestMismatch: 400,
    BadStatement: 400,
    JournalsDiffer: 409,
    NoCheckpoint: 409,
}
T = TypeVar("T")
View = Callable[..., Awaitable[HttpResponse]]
Work = Callable[..., HttpResponse]


async def in_database(work: Callable[..., T], *args: Any) -> T:
    """Run `work` in one of the site API's threads; its connection goes back afterwards."""
    return await sync_to_async(_and_release, thread_sensitive=False, executor=THREADS)(work, *args)


def _and_release(work: Callable[..., T], *args: Any) -> T:
    try:
        return work(*args)
    finally:
        for connection in connections.all(initialized_only=True):
            # PostgreSQL's go back to their pool; SQLite's are few, and cost more than a query.
            if connection.vendor != "sqlite" or connection.errors_occurred:
                connection.close_if_unusable_or_obsolete()


def route(**views: View) -> View:
    """One address: a view per HTTP method; refusals become JSON."""

    async def dispatch(request: HttpRequest, **names: str) -> HttpResponse:
        try:
            view = views.get(request.method or "")
            if view is None:
                raise Refused(405, f"this address answers {', '.join(sorted(views))} only")
            return await view(request, **names)
        except Refused as error:
            return refusal(error)

    return csrf_exempt(dispatch)


def signed(work: Work) -> View:
    """A view that is one visit to the database: `work(caller, request, body, **names)`."""

    @wraps(work)
    async def view(request: HttpRequest, **names: str) -> HttpResponse:
        body = small_body(request)
        return await in_database(translated(_signed), work, request, body, names)

    return view


def _signed(work: Work, request: HttpRequest, body: bytes, names: dict[str, str]) -> HttpResponse:
    caller = authenticate(request, body)
    institutions.seen(caller.institution)
    return work(caller, request, body, **names)


def identify(request: HttpRequest, body: bytes | None) -> Caller:
    """Authenticate and note that the site was seen; for views that come back to wait."""
    caller = authenticate(request, body)
    institutions.seen(caller.institution)
    return caller


def small_body(request: HttpRequest, limit: int = SMALL) -> bytes:
    """The whole body of a request that has no reason to be large. Raises Refused."""
    body = request.read(limit + 1)
    if len(body) > limit:
        raise Refused(413, f"at most {limit} bytes are accepted here")
    return body


def translated(work: Callable[..., T]) -> Callable[..., T]:
    """`work`, with the services' own errors turned into statuses."""

    @wraps(work)
    def call(*args: Any) -> T:
        try:
            return work(*args)
        except tuple(STATUS) as error:
            raise Refused(STATUS[type(error)], str(error)) from error

    return call
