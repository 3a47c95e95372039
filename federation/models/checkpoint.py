"""A model of a study after one round, by digest, with who contributed to it."""

from django.db import models


class Checkpoint(models.Model):
    """`number` 0 is the initial model. `reported_digest` is the averaged model that is shown."""

    study = models.ForeignKey("studies.Study", models.CASCADE, related_name="checkpoints")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    reported_digest = models.CharField(max_length=64)
    contributors = models.JSONField(default=list)  # institution slugs
    metrics = models.JSONField(default=dict)  # {"public": {...}, "sites": {...}}
    at = models.DateTimeField()

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=("study", "number"), name="checkpoint_once"),)

    def __str__(self) -> str:
        return f"model {self.number} of {self.study}"
