"""What an institution decided about one exact protocol."""

from django.db import models

from studies.models.append_only import AppendOnly


class Approval(AppendOnly):
    """Append-only: a decision binds to the digest it was given for, and to no other."""

    participation = models.ForeignKey(
        "studies.Participation", models.CASCADE, related_name="approvals"
    )
    protocol_digest = models.CharField(max_length=64)
    approved = models.BooleanField()
    reason = models.TextField(blank=True)
    by = models.ForeignKey("studies.Person", models.PROTECT)
    at = models.DateTimeField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{'approval' if self.approved else 'refusal'} of {self.protocol_digest[:12]}"
