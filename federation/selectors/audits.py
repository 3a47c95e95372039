"""An audit as people read it: for each institution what its coins showed, or why nothing."""

import json
from dataclasses import dataclass
from typing import Any

from accounting.dp.figures import Figure
from accounting.models import Entry, EntryKind
from accounting.selectors import shown
from federation.protocol.audit import REVEAL
from studies.models import Event, Institution, Study
from studies.selectors.protocols import protocol_of
from studies.states import ENDED, StudyStatus

EARLY = (StudyStatus.WITHDRAWN, StudyStatus.EXHAUSTED, StudyStatus.FAILED)


@dataclass(frozen=True)
class Bound:
    """ε is at least `lower` at `figure.delta`; the ledger derives `figure`."""

    lower: str  # rounded down
    figure: Figure
    guesses: int
    correct: int
    canaries: int
    confidence: float
    refutes: bool


@dataclass(frozen=True)
class Audited:
    """One institution: `state` is waiting, committed, measured, refuted or missing."""

    institution: Institution
    state: str
    commitment: str
    bound: Bound | None
    reason: str


def audits(study: Study) -> list[Audited]:
    """One row per institution that was asked, by name; empty where the protocol has no audit."""
    if protocol_of(study).audit is None:
        return []
    facts = _facts(study)
    absent = {
        event.institution_id: str(event.payload.get("reason", ""))
        for event in Event.objects.filter(study=study, kind="audit_missing").order_by("id")
    }
    parts = study.participations.select_related("institution").order_by("institution__name")
    return [_audited(study, part.institution, facts, absent) for part in parts]


def together(study: Study) -> Bound | None:
    """What the coins of all institutions show as one; None where several were not measured."""
    found = _facts(study).get(("", EntryKind.REVEALED))
    return None if found is None else _bound(found["result"])


def outstanding(study: Study) -> bool:
    """Whether a study that ended early owes a word about its coins, and asks nobody for it yet."""
    if study.status not in EARLY or protocol_of(study).audit is None:
        return False
    if study.rounds.filter(phase=REVEAL).exists():
        return False
    bound = Entry.objects.filter(study=study.slug, kind=EntryKind.COMMITTED).exists()
    return bound and not study.events.filter(kind="audit_missing").exists()


def _pending(study: Study) -> bool:
    """Whether coins may still come although the study ended."""
    return outstanding(study) or study.rounds.filter(phase=REVEAL, status="open").exists()


def _audited(
    study: Study,
    institution: Institution,
    facts: dict[tuple[str, str], dict[str, Any]],
    absent: dict[int, str],
) -> Audited:
    before = facts.get((institution.slug, EntryKind.COMMITTED), {})
    after = facts.get((institution.slug, EntryKind.REVEALED))
    commitment = str(before.get("commitment", ""))
    if after is not None:
        bound = _bound(after["result"])
        state = "refuted" if bound.refutes else "measured"
        return Audited(institution, state, commitment, bound, "")
    if institution.pk in absent:
        return Audited(institution, "missing", commitment, None, absent[institution.pk])
    if study.status in ENDED and not (commitment and _pending(study)):
        reason = "the study ended before its coins were revealed"
        return Audited(institution, "missing", commitment, None, reason)
    return Audited(institution, "committed" if commitment else "waiting", commitment, None, "")


def _facts(study: Study) -> dict[tuple[str, str], dict[str, Any]]:
    kinds = (EntryKind.COMMITTED, EntryKind.REVEALED)
    rows = Entry.objects.filter(study=study.slug, kind__in=kinds).order_by("sequence")
    bodies = {(row.institution, row.kind): json.loads(row.body) for row in rows}
    return {
        place: body
        for place, body in bodies.items()
        if body["protocol_digest"] == study.protocol_digest
    }


def _bound(result: dict[str, Any]) -> Bound:
    stated = result["figure"]
    figure = Figure(
        float(stated["epsilon"]),
        float(stated["delta"]),
        stated["accountant"],
        stated["version"],
        stated["discretisation"],
    )
    lower = float(result["lower"])
    return Bound(
        lower=shown.down(lower),
        figure=figure,
        guesses=result["guesses"],
        correct=result["correct"],
        canaries=result["canaries"],
        confidence=float(result["confidence"]),
        refutes=lower > figure.epsilon,
    )
