"""Tags and filters of every template: statuses, icons, prices, times and digests alike."""

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from itertools import groupby
from typing import Any, Protocol

from django import template
from django.forms import BoundField
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from studies.badges import REASONS, badge

register = template.Library()

ACCOUNTANTS = {"pld": "PLD", "rdp": "Rényi (RDP)", "prv": "PRV"}
LONG_RUN = 3
UNITS = {"row": "per row", "patient": "per patient"}


class Priced(Protocol):
    """What a price is shown from: accounting.dp.figures.Figure or the same shape."""

    delta: float
    accountant: str

    def shown(self, places: int = 3) -> str:
        """ε rounded up."""


@register.simple_tag
def icon(name: str) -> SafeString:
    """One icon of the sprite, hidden from readers: the word beside it says the same."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("vendor/tabler-icons/icons.svg"),
        name,
    )


@register.simple_tag
def status(value: str) -> SafeString:
    """A status as a badge: icon, word and colour say the same."""
    shape = badge(value)
    return format_html(
        '<span class="status status-{}">{}{}</span>', shape.tone, icon(shape.icon), shape.label
    )


@register.simple_tag
def price(figure: Priced, unit: str, scope: str) -> SafeString:
    """ε as it must always stand: with δ, the accountant, the unit protected and the scope.

    `figure` as accounting.dp gives it (shown rounded up), `unit` "row" or "patient", `scope` a few
    words such as "this study".
    """
    return format_html(
        '<span class="price"><strong>ε = {}</strong> <span class="terms">{}</span></span>',
        figure.shown(),
        terms(figure.delta, figure.accountant, unit, scope),
    )


@register.simple_tag
def terms(delta: float | str, accountant: str, unit: str, scope: str) -> str:
    """The words that belong to an ε: δ, accountant, unit, scope."""
    parts = (f"δ = {number(delta)}", accountant_name(accountant), UNITS.get(unit, unit), scope)
    return " · ".join(part for part in parts if part)


@register.simple_tag
def stale_on(kinds: str) -> str:
    """The hx-trigger of a panel: at once, after a lost connection, and on news of these kinds.

    Bursts become one request: htmx keeps one delay per element.
    """
    wait = "from:body delay:80ms"
    news = (f"news:{kind} {wait}" for kind in (*kinds.split(), "reconnected"))
    return ", ".join(("load", *news))


@register.simple_tag
def shown_when(field: BoundField) -> SafeString:
    """The attributes by which a script shows a field only where another's value wants it."""
    rule = getattr(field.form, "shown", {}).get(field.name)
    if rule is None:
        return SafeString("")
    other, values = rule
    return format_html(
        ' data-shown-by="{}" data-shown-for="{}"', field.form.add_prefix(other), values
    )


@register.filter
def accountant_name(name: str) -> str:
    """The accountant's name as it is written in the literature."""
    return f"{ACCOUNTANTS.get(name, name)} accountant" if name else ""


@register.filter
def number(value: float | str | None) -> str:
    """A number without noise digits: 0.001, 1e-05, 2, 0.805."""
    return "–" if value in (None, "") else f"{float(value):.6g}"


@register.filter
def rate(value: float | None) -> str:
    """A utility figure to three places, or a dash where it is undefined."""
    return "–" if value in (None, "") else f"{float(value):.3f}"


@register.filter
def epsilon(value: str | float) -> str:
    """An ε for people: three places, rounded up, so never less than what it stands for."""
    return str(Decimal(str(value)).quantize(Decimal("0.001"), rounding=ROUND_CEILING))


@register.filter
def label(value: str) -> str:
    """A status in words, without its badge."""
    return badge(value).label.lower()


@register.filter
def reason(value: str) -> str:
    """Why a site refused, in words; any other text as it stands."""
    return REASONS.get(value, value)


@register.filter
def plain(value: Any) -> str:
    """A value of the protocol as people write it: lists with commas, tables as name: value."""
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return "; ".join(
            f"{key}: {told(item, key)}" for key, item in value.items() if item is not None
        )
    if isinstance(value, list | tuple):
        runs = [(plain(item), len(list(same))) for item, same in groupby(value)]
        return ", ".join(_run(text, count) for text, count in runs) or "(none)"
    return number(value) if isinstance(value, float) else str(value) or "(empty)"


def _run(text: str, count: int) -> str:
    """The same several times: a plan has one noise for each of many rounds."""
    return ", ".join([text] * count) if count < LONG_RUN else f"{text} ({count} times)"


@register.filter
def told(value: Any, path: str) -> str:
    """The value of the protocol's field at `path`: as `plain`, a derived ε rounded up."""
    derived = path.rpartition(".")[2] == "epsilon" and isinstance(value, str)
    return epsilon(value) if derived else plain(value)


@register.filter
def short(digest: str) -> str:
    """The first twelve digits of a digest."""
    return digest[:12]


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """How long ago, with the exact UTC time for those who hover or parse."""
    if moment is None:
        return "never"
    seconds = (timezone.now() - moment).total_seconds()
    words = "just now" if seconds < 60 else f"{timesince(moment, depth=1)} ago"
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        moment.isoformat(),
        f"{moment:%d %B %Y, %H:%M:%S}",
        words,
    )


@register.filter
def moment(text: str) -> str:
    """A time as documents write it (2026-11-21T14:13:08Z) for people; other words as they are."""
    return f"{text[:16].replace('T', ' ')} UTC" if text[10:11] == "T" else text
