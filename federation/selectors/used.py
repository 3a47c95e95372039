"""Which contribution an institution goes on from, and when all must begin anew."""

from django.db.models import QuerySet

from federation import phases
from federation.models import Assignment, Checkpoint, Round, RoundStatus
from studies.models import Institution, Study

MISSED = 3  # models in a row: by then the direction of a site that gave nothing is of old
# Why all begins anew, for everybody in the study: who left or stayed away is not everybody's.
OTHERS = "the institutions that take part are not those of the last model"
AWAY = "one that takes part gave nothing to the last three models"


def last_used(study: Study, institution: Institution) -> str:
    """The assignment of the institution's last training that is part of a model; '' before any.

    Of an attempt that failed, or an answer that was not accepted, no model was made. What was
    used before all began anew counts no more.
    """
    number = next((n for n, who in _models(study) if institution.slug in who), None)
    rows = Assignment.objects.filter(
        round__study=study,
        round__number=number,
        phase=phases.TRAIN.name,
        institution=institution,
        contribution__accepted=True,
    )
    return rows.order_by("-round__attempt").values_list("uid", flat=True).first() or ""


def why_anew(study: Study, asked: set[int]) -> str:
    """Why the next round, which asks the institutions of these ids, begins from nothing kept.

    '' where it does not. It does when others were asked for the last model: what an institution
    that left gave would steer the rest for good, and the shares of those that stay are other ones.
    And when a site has given to none of the last MISSED models, though its part is in what the
    others are held to.
    """
    models = _models(study)
    if not models:
        return ""
    last = _unfailed(study).filter(number=models[0][0]).order_by("-attempt").first()
    before = last.assignments.filter(phase=phases.TRAIN.name) if last else Assignment.objects.none()
    if set(before.values_list("institution_id", flat=True)) != asked:
        return OTHERS
    parts = [set(who) for _, who in models]
    return AWAY if set().union(*parts) != set().union(*parts[:MISSED]) else ""


def _models(study: Study) -> list[tuple[int, list[str]]]:
    """Number and contributors of each model since all began, newest first."""
    newest = _unfailed(study).exclude(anew_digest="").order_by("-number").first()
    rows = Checkpoint.objects.filter(study=study, number__gte=newest.number if newest else 1)
    return list(rows.order_by("-number").values_list("number", "contributors"))


def _unfailed(study: Study) -> QuerySet[Round]:
    return Round.objects.filter(study=study).exclude(status=RoundStatus.FAILED)
