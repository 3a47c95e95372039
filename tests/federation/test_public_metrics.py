"""Public rows at the hub: every model is measured on them, and a bad file is said at the start."""

import hashlib
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from federation.protocol.document import Protocol
from federation.selectors import models
from studies.services import studies
from tests.federation.conftest import advance, approve, varied

GOOD = "age,bp,sick\n30,80,0\n40,90,0\n70,180,1\n80,200,1\n"


@pytest.fixture
def with_file(sites, lead):
    """with_file(text): a running study that brings these public rows."""

    def made(text: str, **sections):
        digest = hashlib.sha256(text.encode()).hexdigest()
        document = varied({"evaluation": {"every": 0, "public_digest": digest}} | sections)
        study = studies.create(
            protocol=Protocol.model_validate(document),
            by=lead,
            public_evaluation=ContentFile(text.encode(), "public.csv"),
        )
        studies.submit(study, by=lead)
        approve(study, lead)
        return studies.start(study, by=lead)

    return made


def test_every_model_is_measured_from_the_first_on(with_file, sites):
    study = advance(with_file(GOOD))
    for site in sites.values():
        site.work()
    advance(study)
    first, second = models.utility(study)
    assert first.public["rows"] == 4
    assert first.public["auc"] == 0.5  # the zero model ranks nothing
    assert second.public["auc"] == 1.0  # both weights grew, and both features rise with disease
    assert study.events.filter(kind="model_evaluated").count() == 1


def test_a_file_that_breaks_the_contract_holds_the_study_before_anything_is_spent(with_file):
    """At its upload it would be refused: an older hub kept it, or it changed since."""
    study = with_file(GOOD)
    Path(study.public_evaluation.path).write_text(GOOD.replace("80,200,1", "80,900,1"))
    study = advance(study)
    assert study.status == "paused"
    assert "public evaluation file" in study.status_reason
    assert "bp" in study.status_reason
    assert not study.rounds.exists()


def test_patients_need_not_be_named_in_public_rows(with_file, sites):
    data = varied({})["data"] | {
        "unit": "patient",
        "patient_column": "id",
        "max_rows_per_patient": 1,
    }
    study = advance(with_file(GOOD, data=data))
    assert models.latest(study).public["rows"] == 4
