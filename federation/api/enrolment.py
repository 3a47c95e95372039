"""The one address of the site API without a signature: a token and a proof pin a site's key."""

import json
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from redis.exceptions import RedisError

from accounting.services.hub_key import hub_key
from federation.api.errors import Refused, answer
from federation.protocol import messages
from studies.services.enrolment import enrol as pin_key
from studies.services.errors import EnrolmentRefused

FAILURES = 20  # per address and minute: guessing a 256-bit token is hopeless, and noisy
MINUTE = 60
FIELDS = ("token", "public_key", "proof", "software")


def enrol(request: HttpRequest, body: bytes) -> HttpResponse:
    """Pin the key. Raises Refused: 400 malformed, 403 token or proof, 429 too many failures."""
    counter = f"enrol:{request.META.get('REMOTE_ADDR', '')}"
    _limit(counter)
    token, public_key, proof, _ = _fields(body)
    try:
        messages.check_enrolment_proof(token, public_key, proof)
        institution = pin_key(token, public_key, now=timezone.now())
    except messages.MessageError as error:
        _count(counter)
        raise Refused(403, "the proof was not made for this token with this key") from error
    except EnrolmentRefused as error:
        _count(counter)
        raise Refused(403, str(error)) from error
    return answer(
        {
            "institution": institution.slug,
            "name": institution.name,
            "hub_key": hub_key().public,
            "hub_time": messages.timestamp(timezone.now()),
        }
    )


def _fields(body: bytes) -> list[str]:
    """The four texts of the request; anything more, less or else is refused."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the body is not JSON") from error
    if not isinstance(document, dict) or set(document) != set(FIELDS):
        raise Refused(400, f"the body must have exactly the keys {', '.join(FIELDS)}")
    values = [document[name] for name in FIELDS]
    if not all(isinstance(value, str) for value in values):
        raise Refused(400, "each value must be text")
    return values


def _limit(counter: str) -> None:
    try:
        failures = cache.get(counter, 0)
    except RedisError as error:
        raise Refused(503, "the hub cannot enrol just now; try again", 2) from error
    if failures >= FAILURES:
        raise Refused(429, "too many failed enrolments from this address; wait a minute", MINUTE)


def _count(counter: str) -> None:
    try:
        if not cache.add(counter, 1, timeout=MINUTE):
            cache.incr(counter)
    except (RedisError, ValueError):
        return  # the count ran out, or Redis is away: the refusal itself is what matters
