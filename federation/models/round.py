"""One attempt at one round of a study."""

from django.db import models


class RoundStatus(models.TextChoices):
    """A round is open until it closed or failed."""

    OPEN = "open"
    CLOSED = "closed"
    FAILED = "failed"


class Round(models.Model):
    """A list of phases worked off one after the other; `phase` is the current one."""

    study = models.ForeignKey("studies.Study", models.CASCADE, related_name="rounds")
    number = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=8, choices=RoundStatus.choices, default=RoundStatus.OPEN)
    reason = models.TextField(blank=True)
    phase = models.CharField(max_length=20)
    phase_deadline = models.DateTimeField()
    quorum = models.PositiveIntegerField(default=1)  # contributions needed; a person may lower it
    protocol_digest = models.CharField(max_length=64)
    noise_multiplier = models.FloatField(null=True)  # as chosen for it; None: as sealed
    # What its training starts from where that is not the last model's digest: see selectors/used.
    anew_digest = models.CharField(max_length=64, blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("number", "attempt")
        constraints = (
            models.UniqueConstraint(fields=("study", "number", "attempt"), name="round_once"),
        )

    def __str__(self) -> str:
        return f"round {self.number}.{self.attempt} of {self.study}"
