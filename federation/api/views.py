"""The addresses of the site API, translated to services."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from accounting.services import budgets, reconciliation
from accounting.services.hub_key import hub_key
from federation.api import errors
from federation.api.authentication import Caller, authenticate
from federation.api.enrolment import enrol as enrol_site
from federation.api.errors import Refused, answer, nothing, raw, refusal
from federation.api.routes import (
    LONGEST_STATEMENT,
    identify,
    in_database,
    signed,
    small_body,
    translated,
)
from federation.api.waiting import LONGEST_WAIT, LOOK_EVERY, listening, seat
from federation.protocol import messages
from federation.protocol.canonical import canonical_json
from federation.services import blobs, contributions, deliveries, witnessing
from studies.models import Institution
from studies.services import institutions

ENVELOPE = "application/json"
CHECKPOINT = "Ledger-Checkpoint"
DIGITS = 16  # of a size; no ledger is longer
TENSORS = "application/octet-stream"
CHUNK = 2**18
FEW = 2**20  # bytes that are sent at once


@csrf_exempt
async def unknown(request: HttpRequest, rest: str) -> HttpResponse:
    """Any other address: JSON here too, and no page's template."""
    return refusal(Refused(404, "the site API has no such address; is this site up to date?"))


async def enrol(request: HttpRequest) -> HttpResponse:
    """POST enrol."""
    return await in_database(enrol_site, request, small_body(request))


@signed
def hello(caller: Caller, request: HttpRequest, body: bytes) -> HttpResponse:
    """GET hello: who am I, what time is it, which key do you sign with."""
    site = caller.institution
    return answer(
        {
            "institution": site.slug,
            "name": site.name,
            "hub_key": hub_key().public,
            "hub_time": messages.timestamp(timezone.now()),
            "last_seen": site.last_seen and messages.timestamp(site.last_seen),
        }
    )


@signed
def offer(caller: Caller, request: HttpRequest, body: bytes) -> HttpResponse:
    """PUT offer: what the site lends. Budgets first: the ledger's lock is taken before rows."""
    try:
        message = messages.open_envelope(body, caller.institution.site_key, messages.Offer)
    except messages.MessageError as error:
        raise Refused(400, str(error)) from error
    if message.site != caller.institution.slug:
        raise Refused(400, "the offer is another site's")
    with transaction.atomic():
        budgets.declare(caller.institution, message.datasets)
        institutions.receive_offer(caller.institution, message.to_json())
    return nothing()


async def assignments(request: HttpRequest) -> HttpResponse:
    """GET assignments?wait=SECONDS: the next assignment, as soon as there is one."""
    wait = _wait(request)
    caller = await in_database(translated(identify), request, small_body(request))
    site = caller.institution
    take = partial(_take, site, _ledger_size(request))
    async with seat(site.slug):
        return await (_wait_for(site, take, wait) if wait > 0 else in_database(take)) or nothing()


async def _wait_for(
    site: Institution, take: Callable[[], HttpResponse | None], wait: float
) -> HttpResponse | None:
    """Look, sleep until a ring or a second passed, look again; rows decide, rings only hurry."""
    clock = asyncio.get_running_loop().time
    end = clock() + wait
    async with listening(site.slug) as sleep:
        while True:
            found = await in_database(take)
            if found is not None or clock() >= end:
                return found
            await sleep(min(LOOK_EVERY, max(0.0, end - clock())))


def _take(site: Institution, seen: int | None) -> HttpResponse | None:
    """The next assignment; beside it, for a site that says how much it saw, the ledger's head.

    A hub that cannot sign its ledger gives the assignment without: the site refuses, and says so.
    """
    envelope = deliveries.take(site)
    if envelope is None:
        return None
    response = raw(envelope, ENVELOPE)
    if seen is not None:
        with suppress(witnessing.NoCheckpoint):
            document = canonical_json(witnessing.shown(seen))
            response[CHECKPOINT] = urlsafe_b64encode(document).decode()
    return response


def _ledger_size(request: HttpRequest) -> int | None:
    text = request.headers.get("Ledger-Size", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < DIGITS else None


@signed
def checkpoint(caller: Caller, request: HttpRequest, body: bytes) -> HttpResponse:
    """GET ledger/checkpoint?from=SIZE: the ledger's signed head, and that it extends SIZE."""
    since = request.GET.get("from", "0")
    if not (since.isascii() and since.isdigit() and len(since) < DIGITS):
        raise Refused(400, "from is a whole number of entries")
    return answer(witnessing.shown(int(since)))


async def journal(request: HttpRequest) -> HttpResponse:
    """PUT journal: what the site's journal holds, signed; answers how much of it is known."""
    body = small_body(request, LONGEST_STATEMENT)
    return await in_database(translated(_journal), request, body)


def _journal(request: HttpRequest, body: bytes) -> HttpResponse:
    caller = identify(request, body)
    return answer({"sequence": reconciliation.receive(caller.institution, body)})


def _wait(request: HttpRequest) -> float:
    try:
        return min(LONGEST_WAIT, max(0.0, float(request.GET.get("wait", "0"))))
    except ValueError as error:
        raise Refused(400, "wait is a number of seconds") from error


async def model(request: HttpRequest, uid: str) -> HttpResponse:
    """GET assignments/UID/model: the tensors to start from, streamed when they are many."""
    digest, data = await in_database(translated(_model), request, small_body(request), uid)
    if data is not None:
        return raw(data, TENSORS, X_Digest=digest)
    size = blobs.path(digest).stat().st_size
    headers = errors.HEADERS | {"X-Digest": digest, "Content-Length": str(size)}
    return StreamingHttpResponse(_chunks(digest), content_type=TENSORS, headers=headers)


def _model(request: HttpRequest, body: bytes, uid: str) -> tuple[str, bytes | None]:
    """The digest, with the bytes where they are few."""
    caller = identify(request, body)
    digest = deliveries.model_digest_of(caller.institution, uid)
    if not blobs.exists(digest):
        raise Refused(503, "the model is missing from the hub's blob store", 30)
    few = blobs.path(digest).stat().st_size <= FEW
    return digest, blobs.read(digest) if few else None


async def _chunks(digest: str) -> AsyncIterator[bytes]:
    with blobs.path(digest).open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


@signed
def protocol(caller: Caller, request: HttpRequest, body: bytes, digest: str) -> HttpResponse:
    """GET protocols/DIGEST: the document this institution approved, signed by the hub."""
    study = request.GET.get("study")
    return raw(deliveries.approved_protocol(caller.institution, digest, study), ENVELOPE)


@signed
def progress(caller: Caller, request: HttpRequest, body: bytes, uid: str) -> HttpResponse:
    """POST assignments/UID/progress: step k of K."""
    try:
        document = json.loads(body)
        done = deliveries.Progress(_whole(document["step"]), _whole(document["steps"]))
        deliveries.progress(caller.institution, uid, done)
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(400, f"give step and steps as whole numbers ({error})") from error
    return nothing()


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not a whole number")
    return value


async def tensors(request: HttpRequest, uid: str) -> HttpResponse:
    """PUT assignments/UID/tensors: streamed to disk, held against the digest that was signed."""
    await in_database(translated(_store), request, uid)
    return nothing()


def _store(request: HttpRequest, uid: str) -> None:
    """The signature is checked first: of an unsigned request not one byte is kept."""
    caller = authenticate(request, None)
    limit = min(contributions.room_for(caller.institution, uid), settings.SITE_API_MAX_BODY)
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise Refused(413, f"the answer to this assignment may have at most {limit} bytes")
    blobs.store(_pieces(request), limit=limit, expected=caller.body_digest)


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    while piece := request.read(CHUNK):
        yield piece


@signed
def contribution(caller: Caller, request: HttpRequest, body: bytes, uid: str) -> HttpResponse:
    """PUT assignments/UID/contribution: a signed contribution or refusal."""
    result = contributions.receive(caller.institution, uid, body)
    return answer({"accepted": result.accepted, "reason": result.reason})
