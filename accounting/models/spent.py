"""The running sum of what was reserved and not given back, so that no append reads all rows."""

from django.db import models


class SpentSteps(models.Model):
    """Steps of one price of one study on one dataset: the grouped sum over the ledger's rows.

    Kept by accounting.services.sums in the transaction of each append, under the head's lock;
    verification sums the rows anew and compares. `waiting` of them are reserved and no row says
    yet what became of them.
    """

    study = models.CharField(max_length=80)
    institution = models.CharField(max_length=63)
    lineage = models.CharField(max_length=100)
    unit = models.CharField(max_length=64)
    noise_multiplier = models.CharField(max_length=32)  # decimal strings, as in the entry
    sample_rate = models.CharField(max_length=32)
    rows_per_unit = models.PositiveIntegerField()
    steps = models.BigIntegerField()
    waiting = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=(
                    "institution",
                    "lineage",
                    "study",
                    "unit",
                    "noise_multiplier",
                    "sample_rate",
                    "rows_per_unit",
                ),
                name="spent_steps_once",
            ),
        )

    def __str__(self) -> str:
        return f"{self.steps} steps of {self.study} on {self.lineage} at {self.institution}"
