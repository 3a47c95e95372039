"""The hub's copy of what each site's own journal says."""

from django.db import models

from studies.models.append_only import AppendOnly


class SiteEntry(AppendOnly):
    """One row of a site's journal, as the site told it; `body` is the whole row, canonical JSON.

    `journal` counts the journals of one institution: a second one begins where its people said,
    with a reason, that the first is lost.
    """

    institution = models.CharField(max_length=63)  # slugs: the ledger outlives other tables
    journal = models.PositiveIntegerField(default=1)
    sequence = models.BigIntegerField()  # 1, 2, 3 … without gaps
    kind = models.CharField(max_length=14)
    study = models.CharField(max_length=80)
    round = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    phase = models.CharField(max_length=20)
    assignment = models.CharField(max_length=64)
    lineage = models.CharField(max_length=200, blank=True)
    body = models.TextField()
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ("institution", "journal", "sequence")
        verbose_name_plural = "site entries"
        constraints = (
            models.UniqueConstraint(
                fields=("institution", "journal", "sequence"), name="site_entry_once"
            ),
        )
        indexes = (models.Index(fields=("study", "institution", "round")),)

    def __str__(self) -> str:
        return f"{self.institution} {self.sequence} {self.kind} {self.study} {self.round}"
