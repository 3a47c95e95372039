"""One alert on its way to one subscription."""

from django.db import models


class DeliveryStatus(models.TextChoices):
    """waiting → sent, or failed after the last attempt; dropped where the right was lost."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


class Delivery(models.Model):
    """At least once: a crash between sending and writing sends it again."""

    subscription = models.ForeignKey(
        "studies.Subscription", models.CASCADE, related_name="deliveries"
    )
    event = models.ForeignKey("studies.Event", models.CASCADE, related_name="deliveries")
    status = models.CharField(
        max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.WAITING
    )
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    problem = models.CharField(max_length=200, blank=True)  # of the last attempt

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("subscription", "event"), name="delivery_once"),
        )
        indexes = (models.Index(fields=("status", "due_at")),)

    def __str__(self) -> str:
        return f"event {self.event_id}: {self.status}"
