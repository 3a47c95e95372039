"""Who sends this request: a site, by its pinned key over method, path, query, body, time, nonce.

No session, cookie or password opens the site API; a site's key opens nothing but the site API.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.http import HttpRequest
from django.utils import timezone
from redis.exceptions import RedisError

from federation.api.errors import Refused
from federation.protocol.http_signatures import RequestRefused, VerifiedRequest, verify_request
from studies.models import Institution


@dataclass(frozen=True)
class Caller:
    """An authenticated site; `body_digest` is the SHA-256 that it signed for the body."""

    institution: Institution
    body_digest: str


def authenticate(
    request: HttpRequest, body: bytes | None, *, now: datetime | None = None
) -> Caller:
    """The site that signed `request`; `body` None: its digest is compared while it streams in.

    Raises Refused: 401 unsigned, forged, skewed or replayed, 503 when replay cannot be judged.
    """
    found: list[Institution] = []

    def resolve(slug: str) -> str | None:
        found.extend(Institution.objects.filter(slug=slug).exclude(site_key=""))
        return found[0].site_key if found else None

    try:
        verified = verify_request(
            method=request.method or "",
            url=request.get_full_path(),
            headers=request.headers,
            body=body,
            resolve=resolve,
            now=now or timezone.now(),
            max_skew_seconds=settings.SITE_API_MAX_SKEW_SECONDS,
        )
    except RequestRefused as error:
        raise Refused(401, str(error)) from error
    _first_time(verified)
    return Caller(found[0], verified.body_digest)


def _first_time(verified: VerifiedRequest) -> None:
    """Refuse a nonce seen before; it is kept for as long as its time could still be accepted."""
    keep = 2 * settings.SITE_API_MAX_SKEW_SECONDS
    try:
        fresh = _nonces().add(f"nonce:{verified.key_id}:{verified.nonce}", 1, timeout=keep)
    except RedisError as error:
        raise Refused(
            503, "the hub cannot tell a replay from a first request just now; try again", 1
        ) from error
    if not fresh:
        raise Refused(401, "this request came before; sign each request anew")


@lru_cache(maxsize=1)
def _nonces() -> BaseCache:
    """One cache for all threads: Django's own would connect to Redis anew for each request."""
    return caches.create_connection("default")
