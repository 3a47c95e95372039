"""A submitted study's addresses, and a study in the middle of its second round."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from federation.models import Assignment, Checkpoint, Contribution, Round
from studies.models import Institution, Study


@pytest.fixture
def url(submitted) -> Callable[..., str]:
    """url(name, …): an address of the submitted study."""
    return lambda name, *rest: reverse(name, args=(submitted.slug, *rest))


@pytest.fixture
def played(running, hospitals) -> Study:
    """A running study: round 1 closed, round 2 open with one site done and one computing."""
    first = opened(running, 1, "closed")
    for institution in (hospitals.cleveland, hospitals.budapest):
        answered(first, institution)
    measured(running, 0, accuracy=0.5, auc=None)
    measured(running, 1, accuracy=0.75, auc=0.8)
    second = opened(running, 2, "open")
    answered(second, hospitals.cleveland)
    asked(second, hospitals.budapest, "taken", step=1)
    return running


def opened(study: Study, number: int, status: str) -> Round:
    now = timezone.now()
    return Round.objects.create(
        study=study,
        number=number,
        status=status,
        phase="train",
        phase_deadline=now + timedelta(minutes=5),
        protocol_digest=study.protocol_digest,
        opened_at=now,
        closed_at=now if status != "open" else None,
        quorum=2,
    )


def asked(round_: Round, institution: Institution, status: str, **fields) -> Assignment:
    now = timezone.now()
    return Assignment.objects.create(
        uid=f"{round_.pk}-{institution.slug}",
        round=round_,
        phase="train",
        institution=institution,
        model_digest="0" * 64,
        message=b"",
        status=status,
        steps=2,
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
        **fields,
    )


def answered(round_: Round, institution: Institution) -> None:
    row = asked(round_, institution, "answered", step=2)
    Contribution.objects.create(
        assignment=row, message=b"", accepted=True, received_at=timezone.now()
    )


def measured(study: Study, number: int, **metrics) -> Checkpoint:
    return Checkpoint.objects.create(
        study=study,
        number=number,
        digest="0" * 64,
        reported_digest="0" * 64,
        contributors=["budapest", "cleveland"] if number else [],
        metrics={"public": metrics},
        at=timezone.now(),
    )
