"""What an officer says about an alert, once: nothing stays unexplained for ever."""

from django.db import models

from studies.models.append_only import AppendOnly


class Explanation(AppendOnly):
    """Append-only; an alert with one is explained, whoever gave it."""

    event = models.OneToOneField("studies.Event", models.CASCADE, related_name="explanation")
    text = models.TextField()
    by = models.ForeignKey("studies.Person", models.PROTECT)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"explanation of event {self.event_id}"
