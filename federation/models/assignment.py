"""What one site is asked to do in one phase of a round, answered once."""

from django.db import models

CANCELLED = "the study's lead cancelled the round"  # the reason of what was not answered then


class AssignmentStatus(models.TextChoices):
    """open → taken → answered | refused | lost; open → unused."""

    OPEN = "open"
    TAKEN = "taken"
    ANSWERED = "answered"
    REFUSED = "refused"
    LOST = "lost"
    UNUSED = "unused"


class Assignment(models.Model):
    """`message` holds the exact signed bytes; delivering it twice changes nothing."""

    uid = models.CharField(max_length=32, unique=True)
    round = models.ForeignKey("federation.Round", models.CASCADE, related_name="assignments")
    phase = models.CharField(max_length=20)
    institution = models.ForeignKey("studies.Institution", models.PROTECT)
    model_digest = models.CharField(max_length=64)
    message = models.BinaryField()
    status = models.CharField(
        max_length=8, choices=AssignmentStatus.choices, default=AssignmentStatus.OPEN
    )
    reason = models.CharField(max_length=200, blank=True)
    step = models.PositiveIntegerField(default=0)
    steps = models.PositiveIntegerField(default=0)
    # Between the first step that was told and the newest: the site's rate, as it looks from here.
    first_step = models.PositiveIntegerField(default=0)
    first_step_at = models.DateTimeField(null=True, blank=True)
    step_at = models.DateTimeField(null=True, blank=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("round", "phase", "institution"), name="assignment_once"
            ),
        )
        indexes = (models.Index(fields=("institution", "status")),)

    def __str__(self) -> str:
        return f"{self.phase} of {self.round} for {self.institution}"
