"""Which rows of the ledger a person may read, as queries built on the rights of studies."""

from django.db.models import Q, QuerySet

from accounting.models import DatasetBudget, Entry
from studies import access
from studies.models import Institution, Study
from studies.selectors import visibility
from studies.selectors.visibility import Visitor


def may_open_ledger(person: Visitor) -> bool:
    """Officers and site admins, and study leads for their own studies."""
    return access.may_read_ledger(person) or access.may_create_study(person)


def houses(person: Visitor) -> QuerySet[Institution]:
    """The institutions whose lifetime budgets the person may read: administered or overseen."""
    own = visibility.administered(person).values("pk")
    return Institution.objects.filter(
        Q(pk__in=own) | Q(pk__in=visibility.overseen(person).values("pk"))
    )


def administered(person: Visitor) -> QuerySet[Institution]:
    """The institutions whose budgets the person may lower."""
    return visibility.administered(person)


def budgets(person: Visitor) -> QuerySet[DatasetBudget]:
    """The lifetime budgets of those institutions."""
    slugs = houses(person).values("slug")
    return DatasetBudget.objects.filter(institution__in=slugs).order_by("institution", "lineage")


def exportable(person: Visitor, study: Study) -> QuerySet[Entry]:
    """The study's entries whose bodies the person may take away: those of the houses above.

    A body tells what its dataset spent in all studies, which is no business of a study's lead nor
    of another house; it cannot be left out, for the digests are over it.
    """
    rows = Entry.objects.filter(study=study.slug)
    if visibility.oversees_everything(person):
        return rows
    return rows.filter(institution__in=houses(person).values("slug"))


def may_export(person: Visitor, study: Study) -> bool:
    """Whether the person reads the lifetime budgets of a house that the study invites."""
    return houses(person).filter(participations__study=study).exists()


def entries(person: Visitor, study: Study | None = None) -> QuerySet[Entry]:
    """The entries of studies that the person sees whole, and those of the person's own houses."""
    if visibility.oversees_everything(person) and study is None:
        return Entry.objects.all()
    whole = Q(pk__in=visibility.led_studies(person)) | Q(pk__in=visibility.overseen_studies(person))
    slugs = Study.objects.filter(whole).values("slug")
    rows = Entry.objects.filter(
        Q(study__in=slugs) | Q(institution__in=houses(person).values("slug"))
    )
    return rows if study is None else rows.filter(study=study.slug)
