"""What the hub signed about its ledger, for good."""

from django.db import models

from studies.models.append_only import AppendOnly


class LedgerCheckpoint(AppendOnly):
    """One signed checkpoint (accounting.log.checkpoints); never two for one size."""

    size = models.BigIntegerField(unique=True)
    root = models.CharField(max_length=64)
    at = models.CharField(max_length=32)  # as signed
    key = models.CharField(max_length=64)
    signature = models.CharField(max_length=88)  # base64

    class Meta:
        ordering = ("size",)

    def __str__(self) -> str:
        return f"{self.size} entries, root {self.root[:12]}"
