"""A single-use token with which one site pins its key."""

from django.db import models


class EnrolmentToken(models.Model):
    """Only the SHA-256 of the token is kept; it is bound to one institution for 24 hours."""

    institution = models.ForeignKey(
        "studies.Institution", models.CASCADE, related_name="enrolment_tokens"
    )
    token_digest = models.CharField(max_length=64, unique=True)
    issued_by = models.ForeignKey("studies.Person", models.PROTECT)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"enrolment token for {self.institution}"
