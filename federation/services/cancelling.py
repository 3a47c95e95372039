"""Ending an open round by its lead's wish: what was charged stays charged, the rest goes back.

A site hears of it at its next progress (409) and stops at its next step; one that has sent already
is too late, as after a deadline. The ledger says lost for what was taken and aborted for what was
not; the attempt has failed, and the study goes on with another attempt or waits.
"""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from federation import phases
from federation.models import CANCELLED, Round, RoundStatus
from federation.services import settling
from studies.models import Person, Study
from studies.services import engine, events, studies
from studies.services.errors import Refused
from studies.states import StudyStatus

BEFORE_A_MODEL = (phases.COMMIT.name, phases.TRAIN.name)


class CannotCancel(Refused):
    """There is nothing to cancel; the message says why and what is instead."""


@dataclass(frozen=True)
class Wish:
    """Which attempt is meant (the one that was shown), why, and whether the study then waits."""

    round: int
    attempt: int
    reason: str
    pause: bool


@transaction.atomic
def cancel(study: Study, wish: Wish, *, by: Person) -> Round:
    """End the open attempt that `wish` names, if its sites still compute. Raises CannotCancel.

    Before there is a model, the attempt fails. A model that was made stands: then only the wait
    for histograms ends, and the round closes on those that came.
    """
    if not wish.reason.strip():
        raise CannotCancel("say why the round is cancelled; the reason is kept for good")
    study.refresh_from_db(from_queryset=Study.objects.select_for_update(no_key=True))
    round_ = _open_round(study, wish)
    waiting = settling.unsettled(round_)
    if not waiting:
        raise CannotCancel(f"every site has answered round {round_.number}; it is closing now")
    now = timezone.now()
    settling.settle(waiting, CANCELLED, now, tell=False)
    if round_.phase in BEFORE_A_MODEL:
        said = f"{by.get_full_name() or by.username} cancelled it: {wish.reason.strip()}"
        settling.end(round_, said, now)
    _tell(round_, wish.reason.strip(), by)
    if wish.pause and study.status == StudyStatus.RUNNING:
        studies.pause(study, by=by, reason=wish.reason.strip())
    engine.wake(study)
    return round_


def _open_round(study: Study, wish: Wish) -> Round:
    """The newest attempt, if it is the one that is meant. Raises CannotCancel."""
    newest = study.rounds.order_by("-number", "-attempt").first()
    if newest is None or newest.status != RoundStatus.OPEN:
        raise CannotCancel("no round is open; it has ended or was cancelled already")
    if (newest.number, newest.attempt) != (wish.round, wish.attempt):
        raise CannotCancel(
            f"round {wish.round} (attempt {wish.attempt}) has ended meanwhile; round "
            f"{newest.number} (attempt {newest.attempt}) is open now and goes on"
        )
    if newest.phase == phases.REVEAL.name:
        raise CannotCancel(
            "the sites are revealing the coins of the audit, which costs nothing and decides what "
            "was measured; it ends by itself at its deadline"
        )
    newest.study = study
    return newest


def _tell(round_: Round, reason: str, by: Person) -> None:
    events.record(
        "round_cancelled",
        study=round_.study,
        by=by,
        round=round_.number,
        attempt=round_.attempt,
        phase=round_.phase,
        reason=reason,
    )
