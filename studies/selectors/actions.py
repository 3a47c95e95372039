"""What a person can do next: the state table's legal moves that are this person's to take."""

from dataclasses import dataclass

from studies.models import Participation, Study
from studies.selectors.readiness import obstacles
from studies.selectors.visibility import Visitor, administered, led_studies
from studies.states import PARTICIPATION_MOVES, STUDY_MOVES, TIMELY, actions


@dataclass(frozen=True)
class Action:
    """One button: whether it can be pressed now and, if not, what it waits for."""

    name: str
    ready: bool = True
    why_not: str = ""


def study_actions(person: Visitor, study: Study) -> list[Action]:
    """The moves of the study that this person may make from its present status."""
    if not led_studies(person).filter(pk=study.pk).exists():
        return []
    names = dict.fromkeys(actions(STUDY_MOVES, study.status, "lead"))
    return [_action(study, name) for name in names]


def participation_actions(person: Visitor, participation: Participation) -> list[Action]:
    """The decisions on this participation that this person may make now."""
    if not administered(person).filter(pk=participation.institution_id).exists():
        return []
    names = actions(PARTICIPATION_MOVES, participation.status, "site_admin")
    return [Action(name) for name in names if participation.study.status in TIMELY[name]]


def _action(study: Study, name: str) -> Action:
    missing = obstacles(study) if name == "start" else []
    return Action(name, not missing, "; ".join(map(str, missing)))
