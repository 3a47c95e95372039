"""A proposal to raise one lifetime budget, waiting for the word of a second person."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models

LIFE = timedelta(days=14)


class RaiseStatus(models.TextChoices):
    """Where a proposal stands; `proposed` that is older than LIFE has expired."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class RaiseRequest(models.Model):
    """Who proposes what and why, and who answered; the ledger's row is written on approval."""

    institution = models.CharField(max_length=63)  # slug and lineage of the DatasetBudget
    lineage = models.CharField(max_length=100)
    before = models.CharField(max_length=32)  # the budget in force when it was proposed
    epsilon = models.CharField(max_length=32)  # the budget wished for
    reason = models.TextField()
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    status = models.CharField(
        max_length=10, choices=RaiseStatus.choices, default=RaiseStatus.PROPOSED
    )
    answer = models.TextField(blank=True)  # why it was approved or rejected
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(
                fields=("institution", "lineage"),
                condition=models.Q(status="proposed"),
                name="one_raise_at_a_time",
            ),
        )

    def __str__(self) -> str:
        return f"raise {self.lineage} at {self.institution} from {self.before} to {self.epsilon}"

    @property
    def expires_at(self) -> datetime:
        """When it lapses unless somebody answers."""
        return self.proposed_at + LIFE

    def waits(self, now: datetime) -> bool:
        """Whether it can still be answered."""
        return self.status == RaiseStatus.PROPOSED and now < self.expires_at
