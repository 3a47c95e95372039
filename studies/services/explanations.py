"""The one writer of explanations: an officer says what an alert was about."""

from django.db import transaction
from django.utils import timezone

from studies.models import Event, Explanation, Person
from studies.services import events
from studies.services.errors import Refused

LONGEST = 2000


class ExplanationRefused(Refused):
    """The alert has an explanation already, or none was given."""


@transaction.atomic
def explain(event: Event, text: str, *, by: Person) -> Explanation:
    """Keep what the officer found out. Raises ExplanationRefused."""
    text = text.strip()
    if not 3 <= len(text) <= LONGEST:
        raise ExplanationRefused(f"say in a sentence what happened (at most {LONGEST} characters)")
    said, created = Explanation.objects.get_or_create(
        event=event, defaults={"text": text, "by": by, "at": timezone.now()}
    )
    if not created and (said.text, said.by_id) != (text, by.pk):
        raise ExplanationRefused(f"{said.by} has explained it already; explanations are kept")
    if created:
        events.record(
            "alert_explained",
            study=event.study,
            institution=event.institution,
            by=by,
            alert=event.kind.replace("_", " "),
            event=event.pk,
        )
    return said
