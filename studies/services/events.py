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

from studies.models import Event, Institution, Person, Study

log = structlog.get_logger(__name__)

# kind → sentence; {by}, {institution}, {study} and any key of the payload may stand in it.
# A `reason` in the payload is added to the sentence's end by the timeline.
KINDS: dict[str, str] = {
    "institution_registered": "{by} registered {institution}",
    "token_issued": "{by} issued an enrolment token for {institution}",
    "site_enrolled": "The site of {institution} enrolled with key {key}",
    "site_key_revoked": "{by} revoked the key of the site of {institution}",
    "site_seen": "The site of {institution} is online",
    "offer_received": "{institution} declared what it lends",
    "role_granted": "{by} made {person} {role}",
    "role_revoked": "{by} took the role {role} from {person}",
    "person_deactivated": "{by} deactivated {person}",
    "study_created": "{by} wrote the study",
    "study_revised": "{by} changed the protocol (revision {revision})",
    "study_submitted": "{by} submitted the study for approval",
    "institution_invited": "{institution} was invited",
    "institution_dropped": "{institution} is no longer part of the cohort",
    "participation_approved": "{by} approved the protocol for {institution}",
    "participation_declined": "{by} declined for {institution}",
    "participation_withdrawn": "{by} withdrew {institution} from the study",
    "study_started": "{by} started the study",
    "study_paused": "{by} paused the study",
    "study_resumed": "{by} resumed the study",
    "study_withdrawn": "{by} withdrew the study",
    "study_held": "The study was put on hold",
    "round_opened": "Round {round} opened",
    "assignment_taken": "{institution} took its assignment of round {round}",
    "step_done": "{institution} finished a step of round {round}",
    "contribution_received": "{institution} contributed to round {round}",
    "contribution_rejected": "The contribution of {institution} to round {round} was rejected",
    "assignment_refused": "The site of {institution} refused round {round}",
    "assignment_lost": "{institution} did not answer in round {round}",
    "round_closed": "Round {round} closed",
    "round_failed": "Round {round} failed",
    "quorum_overridden": "{by} closed round {round} below its quorum",
    "model_evaluated": "The model of round {round} was evaluated",
    "study_completed": "The study is complete",
    "study_exhausted": "The study's privacy budget is exhausted",
    "study_failed": "The study failed",
    "report_downloaded": "{by} downloaded a privacy report",
    "ledger_verified": "{by} verified the ledger",
    "ledger_broken": "The ledger did not verify",
    "budget_lowered": "{by} lowered the lifetime budget of {dataset} at {institution}",
}
NEWS_ONLY = frozenset({"site_seen", "step_done"})
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
        own = (
            self.study and f"study.{self.study}",
            self.institution and f"institution.{self.institution}",
        )
        return (*(group for group in own if group), EVERYBODY)

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
