"""What a person may do to a round that failed: close it on the contributions that came."""

from django.db import transaction
from django.db.models import QuerySet

from federation.models import Contribution, Round, RoundStatus
from studies.models import Person, Study
from studies.selectors.protocols import protocol_of
from studies.services import events, studies
from studies.services.errors import Refused
from studies.states import StudyStatus


class CannotClose(Refused):
    """The round cannot be closed below its quorum; the message says why and what to do."""


def accepted(round_: Round, phase: str) -> QuerySet[Contribution]:
    """The contributions to one phase that were accepted, by institution."""
    rows = Contribution.objects.filter(
        assignment__round=round_, assignment__phase=phase, accepted=True
    )
    return rows.select_related("assignment__institution").order_by("assignment__institution__slug")


def fewest(study: Study) -> int:
    """The least contributions a person may close a round on.

    Two: a model that moved by one institution's update alone would show every other site that
    update as such. A cohort of one has nobody to be seen by.
    """
    return min(2, len(protocol_of(study).cohort))


@transaction.atomic
def close_with(study: Study, *, by: Person, reason: str) -> Round:
    """Lower the quorum of the failed attempt to what it got, and let the study go on.

    The engine then aggregates; nobody is charged again. The decision is an event with its reason,
    and the checkpoint records who contributed. Raises CannotClose, IllegalMove, NotReady.
    """
    study.refresh_from_db(from_queryset=Study.objects.select_for_update(no_key=True))
    round_ = study.rounds.order_by("-number", "-attempt").first()
    if round_ is None or round_.status != RoundStatus.FAILED or study.status != StudyStatus.PAUSED:
        raise CannotClose("only the newest round, failed, of a study on hold can be closed so")
    if not reason.strip():
        raise CannotClose("say why fewer contributions are enough; the reason is kept for good")
    names = [c.assignment.institution.slug for c in accepted(round_, round_.phase)]
    if len(names) < fewest(study):
        raise CannotClose(
            f"round {round_.number} has {len(names)} accepted contributions and needs at least "
            f"{fewest(study)}; resume the study to ask every institution again"
        )
    round_.status, round_.reason, round_.closed_at = RoundStatus.OPEN, "", None
    round_.quorum = len(names)
    round_.save(update_fields=["status", "reason", "closed_at", "quorum"])
    events.record(
        "quorum_overridden",
        study=study,
        by=by,
        round=round_.number,
        attempt=round_.attempt,
        contributors=names,
        reason=reason.strip(),
    )
    studies.resume(study, by=by, reason=reason.strip())
    return round_
