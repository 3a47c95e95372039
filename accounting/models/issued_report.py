"""Reports that were issued, kept for good, and the requests that are being worked on."""

from django.db import models

from studies.models.append_only import AppendOnly


class IssuedReport(AppendOnly):
    """One report as it was issued: `text` is canonical JSON, `sha256` of it is its address.

    Within a scope reports are numbered; each supersedes the one before it, which stays.
    """

    scope = models.CharField(max_length=300)  # Scope.text
    number = models.PositiveIntegerField()
    text = models.TextField()
    sha256 = models.CharField(max_length=64, unique=True)
    supersedes = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    by = models.ForeignKey("studies.Person", models.PROTECT, null=True, blank=True)
    at = models.DateTimeField()
    key = models.CharField(max_length=64)  # the hub's public key, hexadecimal
    signature = models.CharField(max_length=88)  # base64, by that key over the digest

    class Meta:
        ordering = ("-at", "-id")
        constraints = (
            models.UniqueConstraint(fields=("scope", "number"), name="issued_report_once"),
        )

    def __str__(self) -> str:
        return f"report {self.number} of {self.scope or 'everything'}"


class RequestStatus(models.TextChoices):
    """How far a requested report is."""

    WAITING = "waiting"
    COMPUTING = "computing"
    ISSUED = "issued"
    FAILED = "failed"


class ReportRequest(models.Model):
    """Somebody wants a report issued; only progress, never the truth. Workers touch it."""

    scope = models.CharField(max_length=300)
    by = models.ForeignKey("studies.Person", models.PROTECT, null=True, blank=True)
    status = models.CharField(
        max_length=10, choices=RequestStatus.choices, default=RequestStatus.WAITING
    )
    done = models.PositiveIntegerField(default=0)  # of `total` second opinions
    total = models.PositiveIntegerField(default=0)
    reason = models.TextField(blank=True)
    report = models.ForeignKey(IssuedReport, models.PROTECT, null=True, blank=True)
    asked_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.status}: {self.scope or 'everything'}"
