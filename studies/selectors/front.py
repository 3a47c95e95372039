"""What the home page tells each role; one section per role that the person has."""

from dataclasses import dataclass

from studies.models import Institution, Participation, Role, Study
from studies.selectors.actions import Action, study_actions
from studies.selectors.alerting import Alert, shown, unexplained
from studies.selectors.readiness import Obstacle, obstacles
from studies.selectors.sites import Site, site, sites
from studies.selectors.visibility import (
    Visitor,
    administered,
    led_studies,
    overseen_studies,
    roles_of,
)
from studies.states import ParticipationStatus, StudyStatus

MOST = 12  # rows of a list on the home page


@dataclass(frozen=True)
class LedStudy:
    """One of the lead's studies, who holds it up, and what the lead may do next."""

    study: Study
    obstacles: list[Obstacle]
    actions: list[Action]


@dataclass(frozen=True)
class House:
    """One institution of a site admin: its site, what it is asked, what it takes part in."""

    institution: Institution
    site: Site
    asked: list[Participation]
    part_of: list[Participation]


@dataclass(frozen=True)
class Sections:
    """What stands on the home page; None where the person has no such role."""

    led: list[LedStudy] | None = None
    houses: list[House] | None = None
    concerns: list[Alert] | None = None
    overseen: list[Study] | None = None
    sites: list[Site] | None = None

    @property
    def empty(self) -> bool:
        """Whether the person has no role at all."""
        return self == Sections()


def sections(person: Visitor) -> Sections:
    """The sections of everything the person is."""
    roles = roles_of(person)
    officer = Role.COMPLIANCE_OFFICER in roles
    return Sections(
        led=_led(person) if Role.STUDY_LEAD in roles else None,
        houses=_houses(person) if Role.SITE_ADMIN in roles else None,
        concerns=_concerns(person) if officer else None,
        overseen=list(overseen_studies(person)[:MOST]) if officer else None,
        sites=sites(Institution.objects.all()) if Role.OPERATOR in roles else None,
    )


def _led(person: Visitor) -> list[LedStudy]:
    return [
        LedStudy(study, _holding_up(study), study_actions(person, study))
        for study in led_studies(person)[:MOST]
    ]


def _holding_up(study: Study) -> list[Obstacle]:
    return obstacles(study) if study.status == StudyStatus.SUBMITTED else []


def _houses(person: Visitor) -> list[House]:
    return [_house(institution) for institution in administered(person)]


def _house(institution: Institution) -> House:
    rows = institution.participations.select_related("study__lead", "institution")
    waiting = rows.filter(status=ParticipationStatus.INVITED, study__status=StudyStatus.SUBMITTED)
    rest = rows.exclude(pk__in=waiting.values("pk")).order_by("-study__created_at")
    return House(institution, site(institution), list(waiting), list(rest[:MOST]))


def _concerns(person: Visitor) -> list[Alert]:
    return shown(unexplained(person), MOST)
