"""What a site sent back, with its signature, kept for the auditor."""

from django.db import models


class Contribution(models.Model):
    """One per assignment, accepted or rejected; tensors lie in the blob store by digest."""

    assignment = models.OneToOneField(
        "federation.Assignment", models.CASCADE, related_name="contribution"
    )
    message = models.BinaryField()  # the exact signed bytes
    tensors_digest = models.CharField(max_length=64, blank=True)
    accepted = models.BooleanField()
    reason = models.CharField(max_length=200, blank=True)
    received_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"contribution to {self.assignment}"
