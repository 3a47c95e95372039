"""Where a person wants to hear of alerts."""

from django.db import models

from studies.alerts import Severity


class Channel(models.TextChoices):
    """How alerts travel out of the hub."""

    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"


class Subscription(models.Model):
    """Alerts after event `after`, at least as urgent as `severity`, that the person may see."""

    person = models.ForeignKey("studies.Person", models.CASCADE, related_name="subscriptions")
    channel = models.CharField(max_length=10, choices=Channel.choices)
    address = models.CharField(max_length=500)  # an e-mail address, or an https address
    severity = models.CharField(
        max_length=10, choices=[(s.value, s.value) for s in Severity], default=Severity.NOTICE.value
    )
    secret = models.CharField(max_length=64, blank=True)  # signs a webhook's body
    after = models.BigIntegerField()  # the newest event that was looked at for it
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("person", "channel", "address"), name="subscription_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.channel} to {self.address}"
