"""What sites' journals were told to have charged: signed words, which outlive a restored hub."""

from collections.abc import Collection

from django.db.models import Max

from accounting.models import SiteEntry

Place = tuple[str, str, int, int, str]  # study, institution, round, attempt, phase

MOST_ATTEMPTS = 1000  # more than people ever start; a journal that tells of more moves nothing


def last_attempt(study: str, number: int) -> int:
    """The newest attempt at a round that any site charged; 0 where none did."""
    rows = SiteEntry.objects.filter(kind="charged", study=study, round=number)
    rows = rows.filter(attempt__lte=MOST_ATTEMPTS).order_by()
    return rows.aggregate(last=Max("attempt"))["last"] or 0


def charged(places: Collection[Place]) -> set[Place]:
    """Those of `places` that a told journal charged. One query."""
    rows = SiteEntry.objects.filter(
        kind="charged",
        study__in={place[0] for place in places},
        institution__in={place[1] for place in places},
        round__in={place[2] for place in places},
    )
    names = ("study", "institution", "round", "attempt", "phase")
    return set(rows.order_by().values_list(*names).distinct()) & set(places)
