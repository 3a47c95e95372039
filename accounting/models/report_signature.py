"""A person's signature under an issued report: who, when, and what it means (21 CFR 11.50)."""

from django.db import models

from studies.models.append_only import AppendOnly


class Meaning(models.TextChoices):
    """What a signature says; nothing else can be said."""

    REVIEWED = "reviewed", "I have reviewed this report"
    APPROVED = "approved", "I approve this report"
    RESPONSIBLE = "responsible", "I take responsibility for this report"


class ReportSignature(AppendOnly):
    """`text` is the canonical JSON that the hub signed after the person gave the password."""

    report = models.ForeignKey("accounting.IssuedReport", models.PROTECT, related_name="signatures")
    by = models.ForeignKey("studies.Person", models.PROTECT)
    meaning = models.CharField(max_length=12, choices=Meaning.choices)
    text = models.TextField()
    key = models.CharField(max_length=64)  # the hub's public key, hexadecimal
    signature = models.CharField(max_length=88)  # base64
    at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("report", "by", "meaning"), name="report_signature_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.by} {self.meaning} {self.report}"
