"""Every version a study's protocol ever had."""

from django.db import models

from studies.models.append_only import AppendOnly


class Revision(AppendOnly):
    """One protocol document, kept for good; the newest equals Study.document."""

    study = models.ForeignKey("studies.Study", models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    document = models.TextField()
    protocol_digest = models.CharField(max_length=64)
    by = models.ForeignKey("studies.Person", models.PROTECT)
    at = models.DateTimeField()

    class Meta:
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=("study", "number"), name="revision_number_once"),
        )

    def __str__(self) -> str:
        return f"revision {self.number} of {self.study}"
