"""The one writer of differences between ledger and journals: found once, told, held, explained."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounting.canonical import sha256
from accounting.contradictions import Place, contradiction, core
from accounting.models import DifferenceNote, Differs, LedgerCheckpoint, LedgerHead, SiteDifference
from accounting.selectors import reconciliation
from accounting.selectors import sides as books
from accounting.selectors.reconciliation import Copy
from accounting.services import booking
from accounting.services.statements import Told
from studies.models import Institution, Person, Study
from studies.services import events, studies
from studies.states import ParticipationStatus, StudyStatus

_CORE_DIGITS = 16  # of the SHA-256 of what a contradiction is about


class NotExplained(ValueError):
    """A difference cannot be explained like this; the message says why."""


def compare(
    house: Institution, places: Collection[Place], covered: Collection[Place], now: datetime
) -> list[SiteDifference]:
    """Compare both sides at `places`; the new differences. See accounting.contradictions.

    What the site's journal proves and the ledger lacks is booked at once, explained or not.
    """
    found, sides = [], books.both_sides(house.slug, places)
    if owing := booking.owing(sides):
        booking.book(house, owing, now=now)
    for place, (hub, site) in sides.items():
        what = contradiction(hub, site, covered=place in covered)
        if what is not None:
            found.append(_found(house, what, hub.to_json(), site.to_json(), now, place=place))
    return [row for row in found if row is not None]


def replaced(told: Told, copy: Copy, now: datetime) -> list[SiteDifference]:
    """The journal is not the one that was told before: rolled back, changed or begun anew."""
    hub = {"journal": str(copy.journal), "end": str(copy.sequence), "digest": copy.digest}
    end, message = told.message.journal, told.message
    site = {"end": str(end["sequence"]), "digest": end["digest"], "stated at": message.stated_at}
    if message.entries:
        first = message.entries[0]
        site |= {"begins at": str(message.first), "after": first["previous_digest"]}
    row = _found(
        told.institution, Differs.REPLACED, hub, site, now, end=copy.journal, said=told.envelope
    )
    return [row] if row else []


def unanswered(institution: Institution, copy: Copy) -> bool:
    """Whether a replaced journal waits for its people's word."""
    key = _key(institution.slug, Differs.REPLACED, None, copy.journal)
    return SiteDifference.objects.filter(key=key, note__isnull=True).exists()


def other_ledger(told: Told, now: datetime) -> list[SiteDifference]:
    """The site holds a checkpoint of another ledger than the hub has."""
    seen = told.message.checkpoint
    size = LedgerHead.objects.values_list("size", flat=True).filter(pk=1).first() or 0
    signed = LedgerCheckpoint.objects.filter(size=seen["size"]).first()
    hub = {
        "entries now": str(size),
        "signed at that size": signed.root if signed else "nothing",
    }
    site = {"entries seen": str(seen["size"]), "root": seen["root"]}
    end = f"{seen['size']}/{seen['root'][:16]}"
    row = _found(told.institution, Differs.CHECKPOINT, hub, site, now, end=end, said=told.envelope)
    return [row] if row else []


def hold(found: Iterable[SiteDifference]) -> None:
    """Stop the studies that these concern; in transactions of their own, study by study.

    Should the process die before: no round opens past an unexplained difference anyway.
    """
    for row in found:
        house = Institution.objects.get(slug=row.institution)
        running = Study.objects.filter(
            status=StudyStatus.RUNNING,
            participations__institution=house,
            participations__status=ParticipationStatus.APPROVED,
        )
        for study in running.filter(slug=row.study) if row.study else running:
            studies.hold_if_running(study.pk, reason=reconciliation.sentence(row, str(house)))


@transaction.atomic
def explain(
    difference: SiteDifference, *, by: Person, reason: str, now: datetime | None = None
) -> DifferenceNote:
    """A site admin of the institution says what happened; both sides stay as they are.

    A journal that was replaced begins anew as the institution's next one; what the older one told
    keeps counting. Raises NotExplained.
    """
    if not reason.strip():
        raise NotExplained("say what happened; the reason is kept for good")
    house = Institution.objects.select_for_update(no_key=True).get(slug=difference.institution)
    if DifferenceNote.objects.filter(difference=difference).exists():
        raise NotExplained("somebody explained this difference already")
    _book(difference, house, now or timezone.now())
    note = DifferenceNote.objects.create(
        difference=difference, by=by, reason=reason.strip(), at=now or timezone.now()
    )
    events.record(
        "journal_acknowledged",
        study=Study.objects.filter(slug=difference.study).first(),
        institution=house,
        by=by,
        what=difference.what,
        reason=reason.strip(),
    )
    return note


def _book(row: SiteDifference, house: Institution, now: datetime) -> None:
    """Nothing is explained before it counts: what older software found may not be booked yet."""
    if not row.round:
        return
    place = (row.study, row.round, row.attempt, row.phase)
    try:
        booking.check(house, place)
    except booking.Unbookable as error:
        raise NotExplained(str(error)) from error
    booking.book(house, {place}, now=now)


def _found(
    house: Institution,
    what: Differs,
    hub: dict[str, str],
    site: dict[str, str],
    now: datetime,
    *,
    place: Place | None = None,
    end: object = "",
    said: str = "",
) -> SiteDifference | None:
    """Write it with its event; None where it was found before, with the same facts at its core."""
    study, number, attempt, phase = place or ("", 0, 0, "")
    fields: dict[str, Any] = {
        "institution": house.slug,
        "study": study,
        "round": number,
        "attempt": attempt,
        "phase": phase,
        "what": what,
        "hub": hub,
        "site": site,
        "evidence": said,
        "found_at": now,
    }
    if place:
        if _known(fields):
            return None
        end = sha256(core(what, hub, site).encode())[:_CORE_DIGITS]
    with transaction.atomic():
        row, new = SiteDifference.objects.get_or_create(
            key=_key(house.slug, what, place, end), defaults=fields
        )
        if new:
            _tell(row, house)
    return row if new else None


def _known(fields: dict[str, Any]) -> bool:
    """Whether the same contradiction stands there already: other facts are another one."""
    same = ("institution", "study", "round", "attempt", "phase", "what")
    before = SiteDifference.objects.filter(**{name: fields[name] for name in same})
    now = core(fields["what"], fields["hub"], fields["site"])
    return any(core(row.what, row.hub, row.site) == now for row in before)


def _tell(row: SiteDifference, house: Institution) -> None:
    place = {"round": row.round, "attempt": row.attempt, "phase": row.phase} if row.round else {}
    events.record(
        "journal_mismatch",
        study=Study.objects.filter(slug=row.study).first(),
        institution=house,
        difference=row.pk,
        what=row.what,
        reason=row.get_what_display(),
        **place,
    )


def _key(slug: str, what: Differs, place: Place | None, end: object) -> str:
    if place is None:
        return f"{slug}//{what}/{end}"
    study, number, attempt, phase = place
    return f"{slug}/{study}/{number}.{attempt}/{phase}/{what}/{end}"
