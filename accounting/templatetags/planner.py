"""Numbers of the planner: noise as it will be sealed, and sums that are only about right."""

from django import template

register = template.Library()


@register.filter
def shortly(value: float) -> str:
    """Five digits that count: 4.2823, 18.93, 0.001."""
    return f"{float(value):.5g}"


@register.filter
def about(value: float) -> str:
    """Two digits that count, written out: 38, 0.12, 5400."""
    if not value:
        return "0"
    return f"{float(f'{float(value):.2g}'):,.10g}"
