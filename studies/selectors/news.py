"""Which news a person may hear, live and after having been away."""

from dataclasses import dataclass

from django.db.models import Max, QuerySet

from studies.models import Event, Study
from studies.selectors.visibility import (
    Visitor,
    all_events_for,
    events_for,
    institutions_for,
    institutions_in,
    oversees_everything,
    roles_of,
    studies_for,
)

REPLAY = 200  # events; who missed more gets the newest of each kind, which makes the same stale


@dataclass(frozen=True)
class Item:
    """All that a browser is told; `id` is None for news without a row."""

    id: int | None
    kind: str


def may_listen(person: Visitor, study_slug: str | None) -> bool:
    """Whether the person may hold a socket open: on a study it may see, or with any role."""
    if study_slug is None:
        return bool(roles_of(person))
    return studies_for(person).filter(slug=study_slug).exists()


def audible(
    person: Visitor, *, event_id: int | None, study_slug: str | None, institution_slug: str | None
) -> bool:
    """Whether the person may hear of an event, or of news that name these slugs and have no row."""
    if event_id is not None:
        return all_events_for(person).filter(pk=event_id).exists()
    if study_slug is None and institution_slug is None:
        return oversees_everything(person)
    study = studies_for(person).filter(slug=study_slug).first() if study_slug else None
    if study_slug and study is None:
        return False
    if institution_slug is None:
        return True
    known = institutions_in(person, study) if study else institutions_for(person)
    return known.filter(slug=institution_slug).exists()


def missed(person: Visitor, study_slug: str | None, after: int) -> list[Item]:
    """What the person may hear of and happened after event `after`, in the order of ids."""
    rows = _heard(person, study_slug).filter(pk__gt=after).order_by("pk")
    items = [Item(*row) for row in rows.values_list("pk", "kind")[: REPLAY + 1]]
    if len(items) <= REPLAY:
        return items
    newest = rows.order_by().values("kind").annotate(last=Max("pk")).order_by("last")
    return [Item(row["last"], row["kind"]) for row in newest]


def last_event_id(person: Visitor, study: Study | None = None) -> int:
    """The newest event id a page shows, from which its socket catches up; 0 when there is none."""
    rows = _heard(person, study and study.slug)
    return rows.aggregate(last=Max("pk"))["last"] or 0


def _heard(person: Visitor, study_slug: str | None) -> QuerySet[Event]:
    if study_slug is None:
        return all_events_for(person)
    study = Study.objects.filter(slug=study_slug).first()
    return events_for(person, study) if study else Event.objects.none()
