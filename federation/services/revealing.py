"""The coins of a study that ended early: revealed all the same, as long as a model was made.

A study that was withdrawn, exhausted or failed trains no more, so its coins need to be secret no
longer; what its sites released until then can be judged by them. The reveal is one more attempt
at the study's newest round, with this one phase.
"""

from datetime import datetime

from django.db.models import Max, QuerySet

from accounting.models import Entry, EntryKind
from accounting.services.auditing import Place, commitment
from federation import phases
from federation.models import Checkpoint, Round, RoundStatus
from federation.selectors.audits import EARLY, outstanding
from federation.services import opening
from federation.services.auditing import Missing, tell_missing
from studies.models import Participation, Study
from studies.selectors.protocols import protocol_of
from studies.selectors.readiness import active_participations, cohort_participations

UNTOLD = "the study ended before any round made a model: nothing can tell its canaries apart"
LEFT = "left the study before its coins were revealed"
UNBOUND = "committed to no coins"


def due() -> QuerySet[Study]:
    """The studies whose coins wait to be asked for, or whose sites to be named as not audited."""
    bound = Entry.objects.filter(kind=EntryKind.COMMITTED).values("study")
    waiting = Study.objects.filter(status__in=EARLY, slug__in=bound)
    waiting = waiting.exclude(pk__in=Round.objects.filter(phase=_NAME).values("study"))
    told = waiting.filter(events__kind="audit_missing").values("pk")
    return waiting.exclude(pk__in=told)


def goes_on(study: Study, round_: Round) -> bool:
    """Whether an open round outlives its study: only a reveal does."""
    return round_.phase == _NAME and study.status in EARLY


def reveal(study: Study, now: datetime) -> None:
    """Ask every site that is bound and still takes part; the caller holds the study's lock.

    Where nothing was released for a model, every site is named as not audited, with the reason.
    """
    if not outstanding(study):
        return
    bound = [part for part in active_participations(study) if _bound(study, part)]
    last = Checkpoint.objects.filter(study=study).order_by("number").last()
    if last is not None and last.number > 0 and bound:
        _open(study, bound, last.digest, now)
        return
    for part in cohort_participations(study, protocol_of(study)):
        tell_missing(study, Missing(part.institution, _why(study, part)))


def close(round_: Round, now: datetime) -> None:
    """The coins came or did not; this attempt made no model and was never to make one."""
    round_.status, round_.closed_at = RoundStatus.CLOSED, now
    round_.reason = f"The study is {round_.study.status}; its coins were asked for."
    round_.save(update_fields=["status", "closed_at", "reason"])


def early(round_: Round) -> bool:
    """Whether this attempt only reveals."""
    return not round_.assignments.filter(phase=phases.TRAIN.name).exists()


def _open(study: Study, parts: list[Participation], model: str, now: datetime) -> None:
    number = study.rounds.aggregate(last=Max("number"))["last"]
    attempt = study.rounds.filter(number=number).aggregate(last=Max("attempt"))["last"] + 1
    opening.open_reveal(study, protocol_of(study), parts, (number, attempt), model, now)


def _bound(study: Study, part: Participation) -> bool:
    where = (study.slug, part.institution.slug, part.lineage, study.protocol_digest)
    return commitment(Place(*where)) is not None


def _why(study: Study, part: Participation) -> str:
    if not _bound(study, part):
        return UNBOUND
    return UNTOLD if part in active_participations(study) else LEFT


_NAME = phases.REVEAL.name
