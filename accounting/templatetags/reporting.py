"""The template filters of reports: a scope and a metric as people call them."""

from django import template

from accounting.reports import wording
from accounting.reports.scopes import Scope
from studies.models import Institution, Study

register = template.Library()
register.filter("metric", wording.metric)
register.filter("unit_with_cap", wording.unit_with_cap)


@register.filter
def titled(scope: Scope) -> str:
    """What a report is about, with the names of its study and institution."""
    houses = Institution.objects.filter(slug=scope.institution or None)
    words = scope.in_words(dict(houses.values_list("slug", "name")))
    if not scope.study:
        return words
    names = Study.objects.filter(slug=scope.study).values_list("name", flat=True)
    return f"{names.first() or scope.study}, {words}"
