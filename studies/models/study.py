"""A study: one protocol, one cohort, one status."""

from django.db import models

from studies.states import StudyStatus


class Study(models.Model):
    """`status` is changed by studies.services.studies alone."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    lead = models.ForeignKey("studies.Person", models.PROTECT, related_name="led_studies")
    status = models.CharField(max_length=12, choices=StudyStatus.choices, default=StudyStatus.DRAFT)
    status_reason = models.TextField(blank=True)
    document = models.TextField()  # canonical JSON of federation.protocol.document.Protocol
    protocol_digest = models.CharField(max_length=64)
    public_evaluation = models.FileField(upload_to="evaluation/", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "studies"

    def __str__(self) -> str:
        return self.name
