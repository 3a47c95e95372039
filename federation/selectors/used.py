"""Which contribution of an institution became part of a study's model last."""

from federation import phases
from federation.models import Assignment, Checkpoint
from studies.models import Institution, Study


def last_used(study: Study, institution: Institution) -> str:
    """The assignment of the institution's last training that is part of a model; '' before any.

    Of an attempt that failed, or an answer that was not accepted, no model was made.
    """
    models = Checkpoint.objects.filter(study=study).order_by("-number")
    part_of = models.values_list("number", "contributors")
    number = next((number for number, who in part_of if institution.slug in who), None)
    rows = Assignment.objects.filter(
        round__study=study,
        round__number=number,
        phase=phases.TRAIN.name,
        institution=institution,
        contribution__accepted=True,
    )
    return rows.order_by("-round__attempt").values_list("uid", flat=True).first() or ""
