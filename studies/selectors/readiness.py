"""Whom a study waits for: the one answer that gates `start` and that the pages show."""

from dataclasses import dataclass

from federation.protocol.document import Protocol
from federation.protocol.machines import class_at
from studies.models import Institution, Participation, Study
from studies.selectors.protocols import protocol_of
from studies.states import ParticipationStatus

UNDECIDED = {
    ParticipationStatus.INVITED: "has not decided yet",
    ParticipationStatus.DECLINED: "declined",
    ParticipationStatus.WITHDRAWN: "withdrew",
}


@dataclass(frozen=True)
class Obstacle:
    """One institution of the cohort that keeps the study from starting, and why."""

    institution: Institution
    why: str

    def __str__(self) -> str:
        return f"{self.institution} {self.why}"


def obstacles(study: Study) -> list[Obstacle]:
    """The cohort's institutions that have not approved the current digest with a site enrolled.

    Or whose site is of another class of machine now than the one that was approved.
    """
    protocol = protocol_of(study)
    found = [
        (row, _why_not(row, study.protocol_digest) or another_class(row.institution, protocol))
        for row in cohort_participations(study, protocol)
    ]
    return [Obstacle(row.institution, why) for row, why in found if why]


def active_participations(study: Study) -> list[Participation]:
    """The cohort's institutions that approved the current digest: those a round may ask."""
    rows = cohort_participations(study, protocol_of(study))
    return [row for row in rows if approved(row, study.protocol_digest)]


def cohort_participations(study: Study, protocol: Protocol) -> list[Participation]:
    """The participations that the protocol's cohort names, with institution and approvals."""
    named = [member.institution for member in protocol.cohort]
    rows = study.participations.filter(institution__slug__in=named)
    return list(rows.select_related("institution").prefetch_related("approvals"))


def approved(participation: Participation, protocol_digest: str) -> bool:
    """Whether the institution's newest decision approves exactly this digest."""
    if participation.status != ParticipationStatus.APPROVED:
        return False
    newest = max(participation.approvals.all(), key=lambda row: row.pk, default=None)
    return bool(newest and newest.approved and newest.protocol_digest == protocol_digest)


def said_class(institution: Institution, stated: str | None = None) -> str | None:
    """The class of machine that its site declares; of one that said nothing yet, as `stated`."""
    return (institution.offer.get("machine") or None) if institution.offer else stated


def another_class(institution: Institution, protocol: Protocol) -> str:
    """What is wrong where a protocol plans by class, and for another one than the site declares."""
    said, planned = said_class(institution), class_at(protocol, institution.slug)
    if not protocol.training.classes or said == planned:
        return ""
    return (
        f"now counts its machine as {said or 'of no class'}, and the protocol plans for "
        f"{planned or 'no class'}; the study's lead revises it (the same text will do), or the "
        "site changes machine.class in its site.toml back"
    )


def _why_not(participation: Participation, protocol_digest: str) -> str:
    status = ParticipationStatus(participation.status)
    if status in UNDECIDED:
        return UNDECIDED[status]
    if not approved(participation, protocol_digest):
        return "approved another version of the protocol"
    return "" if participation.institution.site_key else "has no enrolled site"
