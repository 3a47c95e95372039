"""Where the hub's ledger and a site's journal contradict each other, and what its people said."""

from dataclasses import dataclass

from django.db import models

from studies.models.append_only import AppendOnly


class Differs(models.TextChoices):
    """What differs. A row that is only missing so far is none of these."""

    UNCHARGED = "uncharged", "the site charged what the hub's ledger has not charged"
    OTHER_CHARGE = "other_charge", "the two charges are not the same"
    CHARGED_TWICE = "charged_twice", "the site charged it twice, in two journals"
    OTHER_RELEASE = "other_release", "what left the site is not what the hub received"
    UNRELEASED = "unreleased", "the hub has a release that the site's journal does not know"
    REPLACED = "replaced", "the site's journal is not the one it told before"
    CHECKPOINT = "checkpoint", "the site saw another ledger than the hub has"


@dataclass(frozen=True)
class Line:
    """One field on both sides; what one side does not know is empty."""

    field: str
    hub: str
    site: str

    @property
    def differs(self) -> bool:
        """Whether both sides say something, and not the same; rows are never the same."""
        return bool(self.field != "rows" and self.hub and self.site and self.hub != self.site)


class SiteDifference(AppendOnly):
    """One contradiction, found once; `hub` and `site` are both sides as JSON, field by field.

    `study` is empty where it concerns the whole journal. `evidence` is the signed statement, where
    it was not taken over.
    """

    key = models.CharField(max_length=255, unique=True)
    institution = models.CharField(max_length=63)
    study = models.CharField(max_length=80, blank=True)
    round = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=0)
    phase = models.CharField(max_length=20, blank=True)
    what = models.CharField(max_length=14, choices=Differs.choices)
    hub = models.JSONField()
    site = models.JSONField()
    evidence = models.TextField(blank=True)
    found_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        indexes = (models.Index(fields=("institution", "study")),)

    def __str__(self) -> str:
        return f"{self.institution}: {self.get_what_display()}"

    @property
    def lines(self) -> list["Line"]:
        """Both sides, field by field."""
        fields = list(dict.fromkeys((*self.hub, *self.site)))
        return [Line(name, self.hub.get(name, ""), self.site.get(name, "")) for name in fields]


class DifferenceNote(AppendOnly):
    """A site admin of the institution explains a difference; only then may its study go on."""

    difference = models.OneToOneField(
        "accounting.SiteDifference", models.PROTECT, related_name="note"
    )
    by = models.ForeignKey("studies.Person", models.PROTECT)
    reason = models.TextField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.difference}, explained by {self.by}"
