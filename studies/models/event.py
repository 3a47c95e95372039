"""What happened: one row read alike by the timeline, the auditor and the browser."""

from django.db import models

from studies.models.append_only import AppendOnly


class Event(AppendOnly):
    """Append-only; `id` orders events, times are only shown."""

    kind = models.CharField(max_length=40)  # studies.services.events.KINDS
    study = models.ForeignKey(
        "studies.Study", models.CASCADE, null=True, blank=True, related_name="events"
    )
    institution = models.ForeignKey(
        "studies.Institution", models.CASCADE, null=True, blank=True, related_name="events"
    )
    by = models.ForeignKey("studies.Person", models.PROTECT, null=True, blank=True)
    payload = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.id} {self.kind}"
