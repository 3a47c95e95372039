"""What an empirical audit shows: scores of the canaries against the revealed coins. Imports torch.

Nothing here writes a row; services/advancing commits the outcome.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from accounting.dp.audit import CONFIDENCE, audit_delta, measure
from accounting.services import auditing as ledger
from federation import phases
from federation.learning.canaries import Floats, Seen, scores
from federation.models import (
    Assignment,
    AssignmentStatus,
    Checkpoint,
    Contribution,
    Round,
    RoundStatus,
)
from federation.protocol.audit import coins_of
from federation.protocol.document import Protocol
from federation.services import auditing, closing, rounds
from federation.services.auditing import Finding, Missing, Together
from federation.services.facts import expected_event
from studies.models import Study
from studies.selectors.protocols import protocol_of


@dataclass(frozen=True)
class Outcome:
    """What the audit of one study shows: every institution that was asked is in one of the two."""

    findings: tuple[Finding, ...]
    missing: tuple[Missing, ...]
    together: Together | None = None


def outcome(round_: Round) -> Outcome:
    """Score every site that revealed its coins; name every other one, with the reason.

    The confidence holds for all tests together: each site is tested at (1 − CONFIDENCE) over the
    size of the cohort and one, and so is what all coins show as one.
    """
    protocol, revealed = protocol_of(round_.study), auditing.reveals(round_)
    try:
        found = scores(protocol, _seen(round_.study, protocol)) if revealed else {}
        findings = tuple(_findings(revealed, protocol, found))
    except closing.CannotMake as error:
        return Outcome((), tuple(_missing(round_, set(), str(error))))
    done = {finding.institution.pk for finding in findings}
    absent = tuple(_missing(round_, done, "none of its updates was used"))
    return Outcome(findings, absent, _together(round_.study, protocol, findings, found))


def _together(
    study: Study,
    protocol: Protocol,
    findings: tuple[Finding, ...],
    found: Mapping[str, Floats],
) -> Together | None:
    """All coins as one, where two sites or more have any: scores are chances, so they compare."""
    if len(findings) < 2:
        return None
    values = np.concatenate([found[finding.institution.slug] for finding in findings])
    coins = [flip for finding in findings for flip in finding.coins.values]
    delta = audit_delta(protocol.privacy.target_delta)
    measured = measure(values, coins, delta, _confidence(protocol))
    largest = max((finding.figure for finding in findings), key=lambda figure: figure.epsilon)
    return Together(study, findings, measured, largest)


def _confidence(protocol: Protocol) -> float:
    return 1 - (1 - CONFIDENCE) / (len(protocol.cohort) + 1)


def _findings(
    revealed: list[Contribution], protocol: Protocol, found: Mapping[str, Floats]
) -> Iterator[Finding]:
    confidence = _confidence(protocol)
    delta = audit_delta(protocol.privacy.target_delta)
    for row in revealed:
        institution = row.assignment.institution
        if institution.slug not in found:
            continue
        coins = coins_of(closing.load(row.tensors_digest, phases.REVEAL.answer(protocol, {})))
        measured = measure(found[institution.slug], coins.values, delta, confidence)
        place = auditing.place_of(row.assignment)
        yield Finding(institution, place, coins, measured, ledger.spent(place, delta))


def _seen(study: Study, protocol: Protocol) -> list[Seen]:
    """Every round that made a model, with the updates that were used in it."""
    models = dict(Checkpoint.objects.filter(study=study).values_list("number", "digest"))
    seen = []
    for round_ in study.rounds.exclude(status=RoundStatus.FAILED).order_by("number"):
        if not rounds.accepted(round_, phases.TRAIN.name).exists():
            continue  # an attempt that only reveals
        model = closing.load(models[round_.number - 1])
        used = {
            row.assignment.institution.slug: closing.load(row.tensors_digest, model)
            for row in rounds.accepted(round_, phases.TRAIN.name)
        }
        anybody = protocol.cohort[0].institution  # the noise is the same at every site
        event = expected_event(protocol, round_, phases.TRAIN.name, anybody)
        seen.append(Seen(model, used, event.noise_multiplier))
    return seen


def _missing(round_: Round, done: set[int], otherwise: str) -> Iterator[Missing]:
    """Everybody who was asked for a commitment and has no finding, by name."""
    asked = _asked(round_.study, phases.COMMIT.name)
    reveals = _asked(round_.study, phases.REVEAL.name)
    for pk, commit in sorted(asked.items(), key=lambda item: item[1].institution.name):
        if pk in done:
            continue
        reveal = reveals.get(pk)
        reason = _why(commit, "committed to no coins")
        if not reason and reveal is None:
            reason = "left the study before its coins were revealed"
        if not reason and reveal is not None:
            reason = _why(reveal, "did not reveal its coins") or otherwise
        yield Missing(commit.institution, reason)


def _asked(study: Study, phase: str) -> dict[int, Assignment]:
    """The newest assignment of each institution in a phase; an accepted one stands."""
    rows = Assignment.objects.filter(round__study=study, phase=phase)
    rows = rows.select_related("institution", "contribution").order_by("id")
    found: dict[int, Assignment] = {}
    for row in rows:
        before = found.get(row.institution_id)
        if before is None or not _accepted(before):
            found[row.institution_id] = row
    return found


def _accepted(row: Assignment) -> bool:
    return row.status == AssignmentStatus.ANSWERED and row.contribution.accepted


def _why(row: Assignment, what: str) -> str:
    """Why an assignment brought nothing, '' where it brought an accepted answer."""
    if _accepted(row):
        return ""
    said = row.contribution.reason if row.status == AssignmentStatus.ANSWERED else row.reason
    return f"{what} ({row.get_status_display().lower()}{': ' if said else ''}{said})"
