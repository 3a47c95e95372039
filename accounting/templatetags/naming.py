"""Names beside what identifies: an institution, a study or a dataset as people call it."""

from typing import Protocol

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounting.selectors.naming import Names, load
from studies.models import Person

register = template.Library()


class Placed(Protocol):
    """A budget, what remains of one, or a proposal to raise it."""

    institution: str
    lineage: str


@register.simple_tag
def known_names() -> Names:
    """The names as they are now, for a template whose view does not bring them."""
    return load()


@register.filter
def house(names: Names, slug: str) -> str:
    """The institution's name."""
    return names.house(slug)


@register.filter
def study(names: Names, slug: str) -> str:
    """The study's title."""
    return names.study(slug)


@register.simple_tag
def dataset(names: Names, institution: str, lineage: str) -> SafeString | str:
    """The dataset's name; small beside it its lineage, by which budgets go, where that differs."""
    called = names.dataset(institution, lineage)
    if called == lineage:
        return called
    return format_html('{} <span class="identity">{}</span>', called, lineage)


@register.filter
def called(names: Names, row: Placed) -> str:
    """The name of the dataset that it is about."""
    return names.dataset(row.institution, row.lineage)


@register.filter
def person(who: Person | None, otherwise: str) -> str:
    """How a person is called; other words where no person did it."""
    return who.get_full_name() or who.get_username() if who else otherwise


@register.filter
def houses(names: Names, slugs: tuple[str, ...]) -> str:
    """Several institutions' names, one after the other."""
    return "; ".join(names.house(slug) for slug in slugs)
