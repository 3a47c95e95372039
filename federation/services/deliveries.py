"""What sites fetch: their oldest assignment, the model in it, the protocol they approved."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounting.services import ledger
from accounting.services.hub_key import hub_key
from federation import phases
from federation.models import Assignment, AssignmentStatus, RoundStatus
from federation.protocol import messages
from federation.services import pacing
from federation.services.facts import keys_of, place_of
from federation.services.settling import UNSETTLED
from studies.models import Approval, Institution
from studies.services import events
from studies.states import ALIVE, ParticipationStatus


class NotFound(Exception):
    """There is no such thing, or it is another institution's: the same answer for both."""


class Closed(Exception):
    """The assignment takes no more answers."""


@dataclass(frozen=True)
class Progress:
    """Step k of K; public, because the protocol sets K."""

    step: int
    steps: int


def take(institution: Institution, *, now: datetime | None = None) -> bytes | None:
    """The signed assignment this site works on next, marked as taken and charged; None if none.

    One taken but not answered comes again, byte for byte: the site knows it by its id.
    """
    now = now or timezone.now()
    row = _answerable(institution, now).order_by("id").first()
    if row is None:
        return None
    if row.status == AssignmentStatus.OPEN and not _charge(row, now):
        return take(institution, now=now)
    return bytes(row.message)


def _answerable(institution: Institution, now: datetime) -> QuerySet[Assignment]:
    """Paused studies count: a pause opens nothing new, what is open runs to its end.

    So do the coins of a study that ended early.

    An institution that withdrew gets nothing more, whether the engine has heard of it or not.
    """
    alive = Q(round__study__status__in=ALIVE)
    return Assignment.objects.filter(
        alive | Q(phase=phases.REVEAL.name),
        round__study__participations__institution=F("institution"),
        round__study__participations__status=ParticipationStatus.APPROVED,
        institution=institution,
        status__in=UNSETTLED,
        expires_at__gt=now,
        round__status=RoundStatus.OPEN,
    )


@transaction.atomic
def _charge(row: Assignment, now: datetime) -> bool:
    """Mark as taken and charge, in one commit; False when the engine ended it meanwhile."""
    rows = Assignment.objects.select_for_update(of=("self",))
    fresh = rows.select_related("institution", "round__study").get(pk=row.pk)
    if fresh.status != AssignmentStatus.OPEN:
        return fresh.status == AssignmentStatus.TAKEN
    if phases.phase(fresh.phase).priced:
        ledger.charge(keys_of([fresh])[fresh.id], now=now)
    fresh.status, fresh.taken_at = AssignmentStatus.TAKEN, now
    fresh.save(update_fields=["status", "taken_at"])
    events.record("assignment_taken", **place_of(fresh))
    return True


def assignment_of(institution: Institution, uid: str) -> Assignment:
    """The institution's own assignment. Raises NotFound."""
    rows = Assignment.objects.select_related("institution", "round__study", "contribution")
    row = rows.filter(uid=uid, institution=institution).first()
    if row is None:
        raise NotFound("this institution has no such assignment")
    return row


def model_digest_of(institution: Institution, uid: str) -> str:
    """The model that the institution's own assignment starts from. Raises NotFound."""
    rows = Assignment.objects.filter(uid=uid, institution=institution)
    digest = rows.values_list("model_digest", flat=True).first()
    if digest is None:
        raise NotFound("this institution has no such assignment")
    return digest


def progress(
    institution: Institution, uid: str, done: Progress, *, now: datetime | None = None
) -> None:
    """Note step k of K. Raises NotFound, Closed, and ValueError for impossible steps."""
    row = assignment_of(institution, uid)
    if done.steps != row.steps or not 0 <= done.step <= row.steps:
        raise ValueError(f"steps run from 0 to {row.steps} in this assignment")
    now = now or timezone.now()
    still = _answerable(institution, now).filter(pk=row.pk)
    if not pacing.note(row, done.step, still, now):
        raise Closed("the assignment is closed; drop it")


def approved_protocol(institution: Institution, digest: str, study: str | None = None) -> bytes:
    """The protocol of that digest, as this institution approved it, in the hub's envelope.

    `study` chooses where one document was approved in two studies. Raises NotFound: no approval
    of exactly this digest is in force.
    """
    rows = Approval.objects.select_related("participation__study", "by")
    rows = rows.filter(
        participation__institution=institution,
        participation__status=ParticipationStatus.APPROVED,
        participation__study__protocol_digest=digest,
        protocol_digest=digest,
        approved=True,
    )
    if study:
        rows = rows.filter(participation__study__slug=study)
    approval = rows.order_by("-id").first()
    if approval is None:
        raise NotFound("this institution approved no protocol of that digest")
    part = approval.participation
    return messages.sign(
        messages.ApprovedProtocol(
            protocol_digest=digest,
            document=part.study.document,
            study=part.study.slug,
            institution=institution.slug,
            dataset=part.dataset,
            lineage=part.lineage,
            approved_by=approval.by.get_full_name() or approval.by.get_username(),
            approved_at=messages.timestamp(approval.at),
        ),
        hub_key(),
    )
