"""One institution's part in one study."""

from django.db import models

from studies.states import ParticipationStatus


class Participation(models.Model):
    """`status` is changed by studies.services.participations alone."""

    study = models.ForeignKey("studies.Study", models.CASCADE, related_name="participations")
    institution = models.ForeignKey(
        "studies.Institution", models.PROTECT, related_name="participations"
    )
    status = models.CharField(
        max_length=10, choices=ParticipationStatus.choices, default=ParticipationStatus.INVITED
    )
    dataset = models.CharField(max_length=100, blank=True)  # name in the site's offer, on approval
    lineage = models.CharField(max_length=100, blank=True)  # whose lifetime budget it charges

    class Meta:
        ordering = ("institution__name",)
        constraints = (
            models.UniqueConstraint(fields=("study", "institution"), name="participation_once"),
        )

    def __str__(self) -> str:
        return f"{self.institution} in {self.study}"
