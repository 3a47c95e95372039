"""What a person may do, and where."""

from django.db import models


class Role(models.TextChoices):
    """The four roles; a role not named here grants nothing."""

    STUDY_LEAD = "study_lead", "Study lead"
    SITE_ADMIN = "site_admin", "Site admin"
    COMPLIANCE_OFFICER = "compliance_officer", "Compliance officer"
    OPERATOR = "operator", "Operator"


class Membership(models.Model):
    """One person in one role; institution None means the whole federation."""

    person = models.ForeignKey("studies.Person", models.CASCADE, related_name="memberships")
    institution = models.ForeignKey(
        "studies.Institution", models.CASCADE, null=True, blank=True, related_name="memberships"
    )
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("person", "institution", "role"),
                name="membership_once",
                nulls_distinct=False,
            ),
        )

    def __str__(self) -> str:
        return f"{self.person} is {self.role} at {self.institution or 'the federation'}"
