"""One row of the privacy ledger."""

from django.db import models


class EntryKind(models.TextChoices):
    """What a ledger row says; ACCOUNTING section 4."""

    DECLARED = "declared"  # the lifetime budget of a dataset, as first lent or as lowered since
    SEALED = "sealed"  # a study's whole plan at one institution, before round 1
    RESERVED = "reserved"
    CHARGED = "charged"
    RELEASED = "released"  # something left the site: carries its digest
    ACKNOWLEDGED = "acknowledged"  # it became part of a model
    LOST = "lost"  # taken and never answered: stays charged
    REFUSED = "refused"  # a contribution the hub would not use: stays charged
    ABORTED = "aborted"  # provably never computed: the reservation is given back
    BOOKED = "booked"  # what only the site's signed journal proves: charged, or left; for good
    RAISED = "raised"  # a lifetime budget, by two people and with a reason
    RETURNED = "returned"  # what a study that ended had sealed and never reserved
    ATTESTED = "attested"  # somebody answers for it that no patient is at two institutions
    COMMITTED = "committed"  # the digest of the coins of an empirical audit, before round 1
    REVEALED = "revealed"  # these coins, after the last round
    PROPOSED = "proposed"  # the next round's noise of an adaptive schedule, and why


class Entry(models.Model):
    """Append-only. `body` is the canonical JSON that is hashed; columns repeat it for queries.

    `steps` is +K where K steps were reserved or booked, −K where a reservation was given back, so
    one grouped sum over rows is the merged history that ε is derived from; 0 in every other row.
    digest = SHA-256(previous digest as bytes ‖ body); the first row's previous is 64 zeros.
    `subtrees` holds the roots of the complete Merkle subtrees that end at this entry, one of 64
    hex digits per level, level 0 (the entry's own leaf) first; accounting.log.merkle.
    """

    sequence = models.BigIntegerField(unique=True)  # 1, 2, 3 … without gaps
    kind = models.CharField(max_length=14, choices=EntryKind.choices)
    study = models.CharField(max_length=80)  # slugs, not foreign keys
    institution = models.CharField(max_length=63)
    lineage = models.CharField(max_length=100)
    round = models.PositiveIntegerField(default=0)  # 0 for sealed
    attempt = models.PositiveIntegerField(default=0)
    phase = models.CharField(max_length=20, blank=True)
    noise_multiplier = models.CharField(max_length=32, blank=True)  # decimal strings
    sample_rate = models.CharField(max_length=32, blank=True)
    rows_per_unit = models.PositiveIntegerField(default=1)
    steps = models.IntegerField(default=0)
    idempotency_key = models.CharField(max_length=255, unique=True)
    body = models.TextField()
    previous_digest = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    subtrees = models.TextField(default="")

    class Meta:
        ordering = ("sequence",)
        verbose_name_plural = "entries"
        indexes = (
            models.Index(fields=("institution", "lineage")),
            models.Index(fields=("institution", "kind"), name="entry_house_kind"),
            models.Index(fields=("study", "institution", "round")),
        )

    def __str__(self) -> str:
        return f"{self.sequence} {self.kind} {self.study} {self.institution} {self.round}"
