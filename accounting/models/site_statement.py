"""What a site said of its journal and of the hub's ledger, under its own signature."""

from django.db import models

from studies.models.append_only import AppendOnly


class SiteStatement(AppendOnly):
    """One signed statement that told something new: the site is a witness of that checkpoint."""

    institution = models.CharField(max_length=63)
    journal = models.PositiveIntegerField(default=1)
    sequence = models.BigIntegerField()  # how far the journal is told with it
    head = models.CharField(max_length=64)  # the digest of that entry
    complete = models.BooleanField()  # nothing came after it in the journal when it was stated
    checkpoint_size = models.BigIntegerField()
    checkpoint_root = models.CharField(max_length=64)
    agreed = models.BooleanField()  # whether the ledger had that root at that size
    key = models.CharField(max_length=64)  # the site's public key
    envelope = models.TextField()
    stated_at = models.DateTimeField()  # by the site's clock
    received_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        indexes = (models.Index(fields=("institution", "journal")),)

    def __str__(self) -> str:
        return f"{self.institution}: {self.sequence} entries, ledger of {self.checkpoint_size}"
