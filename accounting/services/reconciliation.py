"""Holding the sites' journals against the ledger: on each statement, and now and then anew.

What contradicts stops the study: no round of it opens until the institution's own people have said
what happened. What is only missing so far is waited for.
"""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounting.contradictions import Place
from accounting.models import Entry, EntryKind, SiteDifference, SiteEntry, SiteStatement
from accounting.selectors import reconciliation
from accounting.services import differences, statements
from accounting.services.statements import Kept, Told
from federation.protocol.messages import timestamp
from studies.models import Event, Institution, Study
from studies.services import events, studies
from studies.states import ALIVE, ParticipationStatus

SILENT_AFTER = timedelta(minutes=10)
LISTENED = timedelta(days=1)  # for what the sites have yet to tell of a study that ended
ADVICE = (
    "this journal is not the one that this site told before; it may have been restored from a "
    "backup, or begun anew. A site admin of the institution explains it on the page Journals"
)


class JournalsDiffer(Exception):
    """The site's journal is not the one it told before; its people have to say what happened."""


def receive(institution: Institution, envelope: bytes, *, now: datetime | None = None) -> int:
    """Take over what a site's signed statement tells; the sequence at which the copy ends now.

    The same statement again, a late one, or one that begins beyond the copy's end changes nothing.

    Raises:
        BadStatement: forged, truncated, of another site, or of another form.
        JournalsDiffer: the journal was rolled back or replaced; the studies are held.
    """
    told, now = statements.opened(institution, envelope), now or timezone.now()
    with transaction.atomic():
        # Two statements of one site come one after the other.
        Institution.objects.select_for_update(no_key=True).get(pk=institution.pk)
        end, found = _take(told, now)
    differences.hold(found)
    if end is None:
        raise JournalsDiffer(ADVICE)
    return end


def review(study: Study, *, now: datetime | None = None) -> list[SiteDifference]:
    """Hold everything told about one study against the ledger again; the new differences."""
    now = now or timezone.now()
    found: list[SiteDifference] = []
    for part in study.participations.select_related("institution"):
        slug = part.institution.slug
        told = SiteEntry.objects.filter(study=study.slug, institution=slug)
        last = _last_complete(slug)
        covered = _released(slug, 0, last.checkpoint_size if last else 0).filter(study=study.slug)
        found += _compared(part.institution, _places(told), _places(covered), now)
    return found


def sweep(*, now: datetime | None = None) -> None:
    """By the clock: review the studies, stop those that must not run, tell silence.

    Also those that ended lately: what their sites prove is booked then, too.
    """
    now = now or timezone.now()
    for study in Study.objects.filter(_told_of(now)):
        differences.hold(review(study, now=now))
    for study in Study.objects.filter(status__in=ALIVE):
        parts = study.participations.filter(status=ParticipationStatus.APPROVED)
        parts = list(parts.select_related("institution"))
        if reason := reconciliation.obstacle(study, parts):
            studies.hold_if_running(study.pk, reason=reason)
    for study in Study.objects.filter(_told_of(now)):
        for part in study.participations.select_related("institution"):
            _tell_silence(study, part.institution, now)


def _told_of(now: datetime) -> Q:
    """Studies that live, and those that ended so lately that their last word may still come."""
    alive = Q(status__in=ALIVE)
    return alive | Q(ended_at__gt=now - LISTENED)


def _take(told: Told, now: datetime) -> tuple[int | None, list[SiteDifference]]:
    """Where the copy ends now (None: not taken over), and what was found."""
    house, message = told.institution, told.message
    copy = reconciliation.copy_of(house.slug)
    if differences.unanswered(house, copy):
        return None, []
    if statements.late(copy, message):
        return copy.sequence, []
    if not statements.continues(copy, message):
        return None, differences.replaced(told, copy, now)
    before = _last_complete(house.slug)
    kept = statements.keep(told, copy, now)
    found = [] if kept.agreed else differences.other_ledger(told, now)
    if kept.news:
        covered = _covered(told, kept, before)
        found += _compared(house, _fresh(kept), covered, now)
    return kept.sequence, found


def _covered(told: Told, kept: Kept, before: SiteStatement | None) -> set[Place]:
    """Where the hub had a release before the site stated its whole journal, and not looked at yet.

    The site had seen a checkpoint with that release, so its journal must know of it.
    """
    whole = kept.sequence == told.message.journal["sequence"]
    if not (whole and kept.agreed):
        return set()
    since = before.checkpoint_size if before else 0
    return _places(_released(told.institution.slug, since, told.message.checkpoint["size"]))


def _compared(
    house: Institution, places: set[Place], covered: set[Place], now: datetime
) -> list[SiteDifference]:
    every = places | covered
    return differences.compare(house, every, covered, now) if every else []


def _last_complete(slug: str) -> SiteStatement | None:
    rows = SiteStatement.objects.filter(institution=slug, complete=True, agreed=True)
    return rows.order_by("id").last()


def _released(slug: str, since: int, until: int) -> QuerySet[Entry]:
    return Entry.objects.filter(
        institution=slug, kind=EntryKind.RELEASED, sequence__gt=since, sequence__lte=until
    )


def _places(rows: QuerySet[Entry] | QuerySet[SiteEntry]) -> set[Place]:
    return set(rows.order_by().values_list("study", "round", "attempt", "phase").distinct())


def _fresh(kept: Kept) -> set[Place]:
    rows: Iterable[dict] = kept.fresh
    return {(row["study"], row["round"], row["attempt"], row["phase"]) for row in rows}


def _tell_silence(study: Study, house: Institution, now: datetime) -> None:
    """Once for each silence: its answers come, and long after still no word of its journal."""
    last = SiteStatement.objects.filter(institution=house.slug).last()
    unheard = _unheard(study.slug, house.slug, last)
    if not unheard or unheard[0] > now - SILENT_AFTER:
        return
    told = Event.objects.filter(kind="journal_silent", study=study, institution=house)
    if not told.filter(at__gt=unheard[0]).exists():
        reason = _silence(len(unheard), last and last.received_at)
        events.record("journal_silent", study=study, institution=house, reason=reason)


def _silence(count: int, heard: datetime | None) -> str:
    results = f"{count} result{'' if count == 1 else 's'}"
    since = f"last heard {timestamp(heard)}" if heard else "never heard"
    return (
        f"{results} came and no word of the journal since ({since}), so the hub's books of them "
        "stand alone; ask the site's admin whether its worker runs and its folder can be written"
    )


def _unheard(study: str, slug: str, last: SiteStatement | None) -> list[datetime]:
    """When each release was written after which the site told nothing more, oldest first."""
    rows = Entry.objects.filter(study=study, institution=slug, kind=EntryKind.RELEASED)
    rows = rows.filter(sequence__gt=last.checkpoint_size if last else 0).order_by("sequence")
    bodies = rows.values_list("body", flat=True).iterator()
    at = [datetime.fromisoformat(json.loads(body)["at"]) for body in bodies]
    return [moment for moment in at if last is None or moment > last.received_at]
