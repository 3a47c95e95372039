"""Who may read, issue and sign a report: the rules of studies.access, put together per scope.

A report that names an institution tells its lifetime figures: only its own people and their
officers read it. A study's report tells none, so its lead reads it, too.
"""

from django.db.models import Q, QuerySet

from accounting.models import IssuedReport
from accounting.reports.scopes import Scope
from accounting.selectors import visible
from studies import access
from studies.models import Institution, Study
from studies.selectors import visibility
from studies.selectors.visibility import Visitor


def may_read(person: Visitor, scope: Scope) -> bool:
    """Whether the report of this scope exists for the person."""
    study, house = _named(scope)
    if (scope.study and study is None) or (scope.institution and house is None):
        return False
    if house is not None and not access.may_read_offer(person, house):
        return False
    if study is not None:
        return access.may_see_study(person, study) and access.may_read_report(person, study, house)
    return house is not None or visibility.oversees_everything(person)


def may_issue(person: Visitor, scope: Scope) -> bool:
    """Compliance officers of what the report is about."""
    if not may_read(person, scope):
        return False
    study, house = _named(scope)
    if house is not None:
        return visibility.overseen(person).filter(pk=house.pk).exists()
    if study is not None:
        return visibility.overseen_studies(person).filter(pk=study.pk).exists()
    return visibility.oversees_everything(person)


def may_sign(person: Visitor, scope: Scope) -> bool:
    """Those who may issue it, and the site admins of the institution that it is about."""
    if may_issue(person, scope):
        return True
    house = _named(scope)[1]
    return house is not None and may_read(person, scope) and access.may_administer(person, house)


def may_take_entries(person: Visitor, scope: Scope) -> bool:
    """Whether the person may read the body of every entry that the report is about."""
    if not may_read(person, scope):
        return False
    if visibility.oversees_everything(person) or scope.institution:
        return True
    invited = Institution.objects.filter(participations__study__slug=scope.study)
    return not invited.exclude(pk__in=visible.houses(person).values("pk")).exists()


def readable(person: Visitor) -> QuerySet[IssuedReport]:
    """The issued reports that the person may read, newest first."""
    texts = IssuedReport.objects.order_by().values_list("scope", flat=True).distinct()
    mine = [text for text in texts if may_read(person, Scope.parse(text))]
    return IssuedReport.objects.filter(Q(scope__in=mine)).select_related("superseded_by", "by")


def may_report(person: Visitor) -> bool:
    """Whether there is anything for the person to report on."""
    return access.may_read_ledger(person) or access.may_create_study(person)


def _named(scope: Scope) -> tuple[Study | None, Institution | None]:
    study = Study.objects.filter(slug=scope.study).first() if scope.study else None
    house = None
    if scope.institution:
        house = Institution.objects.filter(slug=scope.institution).first()
    return study, house
