"""What a study's start, its end and an institution's leaving mean for the ledger."""

from collections.abc import Iterable

from accounting.keys import Limit
from accounting.refusals import LedgerRefusal, MixedUnits
from accounting.selectors import commitments, histories, judging
from accounting.services import ledger, returning
from federation.protocol import plans
from federation.protocol.document import Protocol
from studies.models import Participation, Study
from studies.selectors.protocols import protocol_of
from studies.selectors.readiness import active_participations
from studies.services.errors import NotOffered, NotReady


def study_limit(protocol: Protocol, institution: str) -> Limit:
    """The study's own budget at one institution."""
    return Limit(plans.epsilon_budget(protocol, institution), protocol.privacy.target_delta)


def seal(study: Study, protocol: Protocol, parts: Iterable[Participation]) -> None:
    """Commit the whole plan at each institution; once per protocol digest.

    Raises LedgerRefusal as `ledger.seal`; nothing is sealed anywhere then.
    """
    for part in parts:
        _seal(study, protocol, part)


def commit(study: Study) -> None:
    """Commit the plan everywhere before the study starts. Raises NotReady, naming every obstacle.

    In words for a lead: what a house spent or committed otherwise is not the lead's to read.
    """
    protocol, refusals = protocol_of(study), []
    for part in active_participations(study):
        try:
            _seal(study, protocol, part)
        except LedgerRefusal as refusal:
            refusals.append(refusal.public)
    if refusals:
        raise NotReady(f"{study} cannot start: {'; '.join(refusals)}")


def same_unit(participation: Participation, lineage: str) -> None:
    """Let no institution lend a dataset that is charged for another privacy unit.

    Raises NotOffered.
    """
    claim = claim_of(participation.study, participation.institution.slug, lineage)
    spent = histories.load([claim.institution])
    other = judging.other_unit(claim, spent, commitments.standing([claim.institution]))
    if other:
        raise NotOffered(str(MixedUnits(claim.institution, lineage, other, claim.unit)))


def claim_of(study: Study, institution: str, lineage: str) -> judging.Claim:
    """What a study's plan asks of one dataset; an empty plan before it is submitted."""
    protocol = protocol_of(study)
    events = plans.plan_events(protocol, institution) if protocol.plan else ()
    adaptive = protocol.plan and protocol.privacy.adaptive
    bound = study_limit(protocol, institution) if adaptive else None
    return judging.Claim(study.slug, institution, lineage, protocol.data.unit, events, bound)


def give_back(study: Study) -> None:
    """The study ended: its plans are committed no longer."""
    returning.give_back(study.slug)


def leave(participation: Participation) -> None:
    """The institution takes part no more: nor does its budget."""
    returning.give_back(participation.study.slug, institution=participation.institution.slug)


def _seal(study: Study, protocol: Protocol, part: Participation) -> None:
    ledger.seal(
        study=study.slug,
        institution=part.institution.slug,
        lineage=part.lineage,
        plan_events=plans.plan_events(protocol, part.institution.slug),
        protocol_digest=study.protocol_digest,
        unit=protocol.data.unit,
        study_limit=study_limit(protocol, part.institution.slug),
        adaptive=protocol.privacy.adaptive is not None,
    )
