"""The one writer of events, and of the news that follows each of them.

Events are rows (the truth); news are hints of an id and a kind, sent after commit, which may come
late, twice, out of order or never. No number travels with the news.
"""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisDown
from redis.exceptions import TimeoutError as RedisSlow

from studies.kinds import KINDS, NEWS_ONLY
from studies.models import Event, Institution, Person, Study

__all__ = [
    "EVERYBODY",
    "KINDS",
    "NEWS_ONLY",
    "UnknownKind",
    "news",
    "person_group",
    "recheck",
    "record",
]

log = structlog.get_logger(__name__)

EVERYBODY = "people"  # the group of every open home page; its consumers filter


class UnknownKind(ValueError):
    """A kind that KINDS does not name; add the sentence there first."""


@dataclass(frozen=True)
class News:
    """One channel message; `study` and `institution` (slugs) let a consumer judge who may hear."""

    id: int | None
    kind: str
    study: str | None
    institution: str | None

    def groups(self) -> tuple[str, ...]:
        """The channel groups that this news goes to."""
        return (f"study.{self.study}", EVERYBODY) if self.study else (EVERYBODY,)

    def message(self) -> dict[str, Any]:
        """The channel message, handled by the consumer's `news`."""
        return {"type": "news", **asdict(self)}


def record(
    kind: str,
    *,
    study: Study | None = None,
    institution: Institution | None = None,
    by: Person | None = None,
    **payload: Any,
) -> Event:
    """Append one event inside the caller's transaction and send its news after commit.

    `payload` is JSON and public to everyone who may see the event: names, digests, round numbers
    and reasons; never a figure that came from a site's rows. Raises UnknownKind.
    """
    if kind not in KINDS or kind in NEWS_ONLY:
        raise UnknownKind(f"{kind!r} is not a kind of stored event; see events.KINDS")
    event = Event.objects.create(
        kind=kind, study=study, institution=institution, by=by, payload=payload, at=timezone.now()
    )
    _send_after_commit(_news(event.pk, kind, study, institution))
    return event


def news(kind: str, *, study: Study | None = None, institution: Institution | None = None) -> None:
    """Tell open pages that something is stale, without a row. Raises UnknownKind."""
    if kind not in KINDS:
        raise UnknownKind(f"{kind!r} is not a kind of news; see events.KINDS")
    _send_after_commit(_news(None, kind, study, institution))


def recheck(person: Person) -> None:
    """After commit, have every open socket of `person` judge its right to be open again."""
    message = {"type": "recheck"}
    transaction.on_commit(partial(send_to_groups, (person_group(person.pk),), message))


def person_group(person_id: int) -> str:
    """The channel group of all open sockets of one person."""
    return f"person.{person_id}"


def send_to_groups(groups: tuple[str, ...], message: dict[str, Any]) -> None:
    """Send one channel message to each group; when Redis is away it is lost, and only it."""
    try:
        async_to_sync(_send)(groups, message)
    except (RedisDown, RedisSlow) as error:
        log.warning("news_lost", kind=message.get("kind"), error=type(error).__name__)


async def _send(groups: tuple[str, ...], message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    for group in groups:
        await layer.group_send(group, message)


def _news(
    event_id: int | None, kind: str, study: Study | None, institution: Institution | None
) -> News:
    return News(event_id, kind, study and study.slug, institution and institution.slug)


def _send_after_commit(item: News) -> None:
    transaction.on_commit(partial(send_to_groups, item.groups(), item.message()))
