"""The one writer of participations and of the approvals that back them."""

from django.db import transaction
from django.utils import timezone

from federation.protocol.document import Member, Protocol
from studies import signals
from studies.models import Approval, Institution, Participation, Person, Study
from studies.selectors.protocols import protocol_of
from studies.selectors.readiness import another_class, said_class
from studies.services import engine, events
from studies.services.errors import NotOffered, ProtocolRefused, StaleApproval
from studies.states import PARTICIPATION_MOVES, TIMELY, IllegalMove, actions, destination


@transaction.atomic
def approve(
    participation: Participation, *, by: Person, dataset: str, protocol_digest: str
) -> Approval:
    """Approve exactly the protocol with this digest, lending `dataset` of the site's offer.

    Raises IllegalMove, StaleApproval (the protocol changed since it was read) and NotOffered
    (also where the dataset is charged for another privacy unit).
    """
    _lock(participation, "approve")
    _must_be_current(participation, protocol_digest)
    _must_be_of_its_class(participation)
    lineage = _lineage(participation.institution, dataset)
    signals.approving.send(Participation, participation=participation, lineage=lineage)
    _move(participation, "approve", dataset=dataset, lineage=lineage)
    approval = _decide(participation, by, approved=True)
    _record("participation_approved", participation, by, dataset=dataset)
    return approval


@transaction.atomic
def decline(
    participation: Participation, *, by: Person, reason: str = "", protocol_digest: str = ""
) -> Approval:
    """Decline the current protocol; raises IllegalMove, and StaleApproval when a digest is given
    and is not the current one.
    """
    _lock(participation, "decline")
    _must_be_current(participation, protocol_digest or participation.study.protocol_digest)
    _move(participation, "decline")
    decision = _decide(participation, by, approved=False, reason=reason)
    _record("participation_declined", participation, by, reason=reason)
    return decision


@transaction.atomic
def withdraw(participation: Participation, *, by: Person, reason: str = "") -> Approval:
    """Leave the study, at any time before its end; the engine asks the site nothing more.

    What was already released and charged stays so. Raises IllegalMove.
    """
    _lock(participation, "withdraw")
    _move(participation, "withdraw")
    decision = _decide(participation, by, approved=False, reason=reason)
    signals.left.send(Participation, participation=participation)
    _record("participation_withdrawn", participation, by, reason=reason)
    engine.wake(participation.study)
    return decision


def registered(protocol: Protocol) -> list[Institution]:
    """The protocol's cohort as rows; raises ProtocolRefused for an empty or an unknown one."""
    named = [member.institution for member in protocol.cohort]
    if not named:
        raise ProtocolRefused("the cohort is empty; name at least one institution")
    found = {row.slug: row for row in Institution.objects.filter(slug__in=named)}
    if unknown := [slug for slug in named if slug not in found]:
        raise ProtocolRefused(
            f"cohort: no institution is registered as {', '.join(unknown)}; register or remove it"
        )
    return [found[slug] for slug in named]


def declared(protocol: Protocol, cohort: list[Institution]) -> Protocol:
    """The protocol with each member's class of machine, where it plans by class; else without.

    As the institution's site says it now; of one that said nothing yet, as the protocol has it.
    """
    houses = {row.slug: row for row in cohort}

    def of(member: Member) -> str | None:
        if not protocol.training.classes:
            return None
        house = houses.get(member.institution)
        return said_class(house, member.machine) if house else member.machine

    members = [row.model_copy(update={"machine": of(row)}) for row in protocol.cohort]
    return protocol.model_copy(update={"cohort": members})


def convene(study: Study, cohort: list[Institution], *, by: Person) -> None:
    """Make the study's participations those of its new protocol; the caller holds its lock.

    1. Every institution of the cohort is invited: newly, or its earlier decision is reopened.
    2. One that left the cohort is withdrawn if it ever decided; else its invitation is removed.
    """
    rows = {
        row.institution_id: row
        for row in study.participations.select_for_update(of=("self",), no_key=True)
    }
    for institution in cohort:
        _invite(study, institution, rows.pop(institution.pk, None), by)
    for row in rows.values():
        _drop(row, by)


def _invite(study: Study, institution: Institution, row: Participation | None, by: Person) -> None:
    if row is None:
        Participation.objects.create(study=study, institution=institution)
        events.record("institution_invited", study=study, institution=institution, by=by)
        return
    _move(row, "reopen", dataset="", lineage="")


def _drop(row: Participation, by: Person) -> None:
    if not row.approvals.exists():
        row.delete()
    elif "drop" not in actions(PARTICIPATION_MOVES, row.status):
        return  # it had left already
    else:
        _move(row, "drop")
    events.record("institution_dropped", study=row.study, institution=row.institution, by=by)


def _lock(participation: Participation, action: str) -> None:
    """Lock the study, then the participation (always in this order), and look at both again."""
    study = Study.objects.select_for_update(no_key=True).get(pk=participation.study_id)
    participation.refresh_from_db(
        from_queryset=Participation.objects.select_for_update(no_key=True)
    )
    participation.study = study
    if study.status not in TIMELY[action]:
        raise IllegalMove(f"cannot {action} while the study is {study.status}")


def _must_be_current(participation: Participation, protocol_digest: str) -> None:
    if protocol_digest != participation.study.protocol_digest:
        raise StaleApproval(
            "the protocol changed after you read it; read the differences and decide again"
        )


def _must_be_of_its_class(participation: Participation) -> None:
    """The plan and its price are those of the class that the site itself declares."""
    why = another_class(participation.institution, protocol_of(participation.study))
    if why:
        raise NotOffered(f"the site of {participation.institution} {why}")


def _lineage(institution: Institution, dataset: str) -> str:
    offered = institution.offer.get("datasets", [])
    for entry in offered:
        if entry["name"] == dataset:
            return entry.get("lineage") or dataset
    names = ", ".join(entry["name"] for entry in offered) or "nothing yet; start its site worker"
    raise NotOffered(f"{institution} does not lend {dataset!r}; it offers {names}")


def _move(participation: Participation, action: str, **fields: str) -> None:
    """The one place where a participation's status changes, with what goes with it."""
    participation.status = destination(PARTICIPATION_MOVES, action, participation.status)
    for name, value in fields.items():
        setattr(participation, name, value)
    participation.save(update_fields=["status", "dataset", "lineage"])


def _decide(
    participation: Participation, by: Person, *, approved: bool, reason: str = ""
) -> Approval:
    return Approval.objects.create(
        participation=participation,
        protocol_digest=participation.study.protocol_digest,
        approved=approved,
        reason=reason,
        by=by,
        at=timezone.now(),
    )


def _record(kind: str, participation: Participation, by: Person, **payload: str) -> None:
    events.record(
        kind,
        study=participation.study,
        institution=participation.institution,
        by=by,
        protocol_digest=participation.study.protocol_digest,
        **payload,
    )
