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
