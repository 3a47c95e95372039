"""The lifetime budget of one dataset lineage at one institution, across all studies."""

from django.db import models


class DatasetBudget(models.Model):
    """The limit, never the loss: what was spent is derived from the ledger's entries."""

    institution = models.CharField(max_length=63)  # slug: the ledger outlives other tables
    lineage = models.CharField(max_length=100)
    epsilon = models.CharField(max_length=32)  # decimal string; the limit now in force
    delta = models.CharField(max_length=32)
    filter_order = models.CharField(max_length=16)  # of the RDP filter; fixed by the first loss
    site_cap = models.CharField(max_length=32)  # decimal string; from the site's own file

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("institution", "lineage"), name="dataset_budget_once"),
        )

    def __str__(self) -> str:
        return f"ε ≤ {self.epsilon} for {self.lineage} at {self.institution}"
