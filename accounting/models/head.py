"""The ledger's end: the one row that every append locks."""

from django.db import models


class LedgerHead(models.Model):
    """Exactly one row (id 1), locked for update by each append."""

    size = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="0" * 64)
    # Roots (hex) of the complete Merkle subtrees that the `size` entries make, largest first.
    frontier = models.TextField(default="", blank=True)

    def __str__(self) -> str:
        return f"{self.size} entries, {self.digest[:12]}"
