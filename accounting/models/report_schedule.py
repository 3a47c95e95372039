"""A report that somebody wants by e-mail, week by week or month by month."""

from django.db import models


class Rhythm(models.TextChoices):
    """How often."""

    WEEK = "week", "Every week"
    MONTH = "month", "Every month"


class ReportSchedule(models.Model):
    """`report` is set between issuing and sending, so that a crash sends that one, not another."""

    person = models.ForeignKey("studies.Person", models.CASCADE, related_name="report_schedules")
    scope = models.CharField(max_length=300)  # Scope.text
    every = models.CharField(max_length=5, choices=Rhythm.choices)
    address = models.EmailField()
    due_at = models.DateTimeField()
    busy_until = models.DateTimeField()  # a worker has it, or it waits for the next try
    report = models.ForeignKey("accounting.IssuedReport", models.PROTECT, null=True, blank=True)
    problem = models.CharField(max_length=200, blank=True)  # of the last try

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=("person", "scope", "address"), name="schedule_once"),
        )

    def __str__(self) -> str:
        return f"{self.scope or 'everything'} every {self.every} to {self.address}"
