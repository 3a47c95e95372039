"""Both sides' books beside each other: how far each site has told and what differs."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, Q, QuerySet

from accounting.models import Differs, SiteDifference, SiteEntry, SiteStatement
from studies.models import Institution, Participation, Study


@dataclass(frozen=True)
class Copy:
    """Where the hub's copy of a site's journal ends, and the statement that brought it there."""

    journal: int
    sequence: int
    digest: str
    last: SiteStatement | None

    @property
    def stated_at(self) -> datetime | None:
        """The site's own time of its newest statement."""
        return self.last.stated_at if self.last else None


@dataclass(frozen=True)
class State:
    """One institution's reconciliation, as its people and the officers read it."""

    institution: Institution
    copy: Copy
    differences: int
    unexplained: int

    @property
    def verdict(self) -> str:
        """differs, agreed, or silent where the site never told anything."""
        if self.unexplained:
            return "differs"
        return "agreed" if self.copy.last else "silent"


def copy_of(institution: str) -> Copy:
    """The hub's copy of the institution's present journal."""
    journal = (
        1 + of_institution(institution).filter(what=Differs.REPLACED, note__isnull=False).count()
    )
    last = SiteStatement.objects.filter(institution=institution, journal=journal).last()
    if last is None:
        return Copy(journal, 0, "0" * 64, None)
    return Copy(journal, last.sequence, last.head, last)


def states(houses: Iterable[Institution]) -> list[State]:
    """Every institution's state, in the order given."""
    return [_state(house, copy_of(house.slug), of_institution(house.slug)) for house in houses]


def states_in(houses: Iterable[Institution], study: str) -> list[State]:
    """The same as far as one study is concerned: nothing of what a house does in any other.

    A copy is then of the journal's rows about that study, with the first statement that told the
    last of them; differences about a whole journal concern every study.
    """
    return [
        _state(house, _copy_in(house.slug, study), _about(house.slug, study)) for house in houses
    ]


def _state(house: Institution, copy: Copy, rows: QuerySet[SiteDifference]) -> State:
    return State(house, copy, rows.count(), rows.filter(note__isnull=True).count())


def _copy_in(institution: str, study: str) -> Copy:
    rows = SiteEntry.objects.filter(institution=institution, study=study)
    newest = rows.order_by("journal", "sequence").last()
    if newest is None:
        return Copy(1, 0, "0" * 64, None)
    told = SiteStatement.objects.filter(
        institution=institution, journal=newest.journal, sequence__gte=newest.sequence
    )
    return Copy(newest.journal, rows.count(), newest.digest, told.order_by("pk").first())


def _about(institution: str, study: str) -> QuerySet[SiteDifference]:
    return of_institution(institution).filter(study__in=("", study))


def of_institution(institution: str) -> QuerySet[SiteDifference]:
    """Those that nobody explained first, and the newest first."""
    rows = SiteDifference.objects.filter(institution=institution).select_related("note__by")
    return rows.annotate(explained=Q(note__isnull=False)).order_by("explained", "-id")


def unexplained(institutions: Collection[str], study: str) -> QuerySet[SiteDifference]:
    """What holds a study: differences about it, or about a whole journal, that nobody explained."""
    rows = SiteDifference.objects.filter(institution__in=institutions, study__in=("", study))
    return rows.filter(note__isnull=True)


def obstacle(study: Study, parts: Iterable[Participation]) -> str:
    """Why the study may open no round, in words for everybody who sees it; empty where it may.

    `parts` are its active participations.
    """
    names = {part.institution.slug: str(part.institution) for part in parts}
    row = unexplained(names, study.slug).first()
    return sentence(row, names[row.institution]) if row else ""


def sentence(row: SiteDifference, name: str) -> str:
    """A difference without anybody's figures; `name` is the institution's."""
    where = f" about {row.phase} of round {row.round}" if row.round else ""
    return (
        f"The hub's ledger and the journal of {name} do not agree{where}: "
        f"{row.get_what_display()}. Its site admins and the compliance officers read both sides "
        "under Journals; once a site admin there has explained it, the study can be resumed."
    )


def witnesses() -> list[dict[str, Any]]:
    """The newest signed statement of each institution, as the exported bundle carries them.

    Also of one that saw another ledger: the auditor is to see that.
    """
    newest = SiteStatement.objects.order_by().values("institution").annotate(last=Max("id"))
    rows = SiteStatement.objects.filter(pk__in=newest.values("last")).order_by("institution")
    return [
        {"institution": row.institution, "key": row.key, "envelope": row.envelope} for row in rows
    ]
