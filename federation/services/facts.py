"""What rows mean to the other parts: ledger keys, limits and the events a phase must cost."""

from typing import Any

from accounting.dp.events import PrivacyEvent
from accounting.keys import Key
from federation.models import Assignment, Round
from federation.protocol import plans
from federation.protocol.document import Protocol
from studies.models import Participation, Study


def expected_event(protocol: Protocol, round_: Round, phase: str, institution: str) -> PrivacyEvent:
    """The one event that this phase costs at this institution, in full."""
    noise = round_.noise_multiplier
    return plans.round_events(protocol, round_.number, institution, noise)[phase]


def key_of(study: Study, part: Participation, round_: Round, phase: str) -> Key:
    """The ledger key of one phase of one attempt at one institution."""
    return Key(
        study.slug, part.institution.slug, part.lineage, round_.number, round_.attempt, phase
    )


def place_of(row: Assignment) -> dict[str, Any]:
    """What an event about an assignment says of where it stands."""
    return {
        "study": row.round.study,
        "institution": row.institution,
        "round": row.round.number,
        "attempt": row.round.attempt,
        "phase": row.phase,
    }


def keys_of(assignments: list[Assignment]) -> dict[int, Key]:
    """Ledger keys by assignment id, with one query for the lineages of their institutions.

    The assignments' rounds, studies and institutions should be selected beforehand.
    """
    parts = Participation.objects.filter(
        study__in={a.round.study_id for a in assignments},
        institution__in={a.institution_id for a in assignments},
    )
    lineages = {
        (study, site): lineage
        for study, site, lineage in parts.values_list("study_id", "institution_id", "lineage")
    }
    return {
        a.id: Key(
            a.round.study.slug,
            a.institution.slug,
            lineages[a.round.study_id, a.institution_id],
            a.round.number,
            a.round.attempt,
            a.phase,
        )
        for a in assignments
    }
