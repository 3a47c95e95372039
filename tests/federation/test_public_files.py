"""Public rows of every kind of file: kept with the study, and read back by the engine."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile

from federation.learning import evaluation
from federation.protocol.document import Protocol
from federation.protocol.tensors import unpack
from federation.selectors import models
from federation.services import blobs, public_rows
from studies.models import Study
from studies.selectors.protocols import protocol_of
from studies.services import studies
from studies.services.errors import PublicRowsRefused
from tests.federation.conftest import advance, approve, varied
from tests.studies.row_files import CNN, LABELS, MAKERS, TABLE, images, npz_of, parquet_of

FROM_NONE = {"every": 0, "holdout": 0.0, "noise_multiplier": None}


@pytest.fixture
def written(sites, lead):
    """written(data, section=…): a draft that brings this file, under a name that says nothing."""

    def made(file: bytes, **sections: Any) -> Study:
        document = varied({"evaluation": FROM_NONE} | sections)
        return studies.create(
            protocol=Protocol.model_validate(document),
            by=lead,
            public_evaluation=ContentFile(file, "rows.dat"),
        )

    return made


@pytest.fixture
def started(written, lead):
    def run(file: bytes, **sections: Any) -> Study:
        study = studies.submit(written(file, **sections), by=lead)
        approve(study, lead)
        return studies.start(study, by=lead)

    return run


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_measures_the_same(started, sites, kind):
    study = advance(started(MAKERS[kind](TABLE)))
    assert study.public_evaluation.name.endswith(f".{kind}")
    for site in sites.values():
        site.work()
    advance(study)
    first, second = models.utility(study)
    assert (first.public["rows"], first.public["auc"], second.public["auc"]) == (4, 0.5, 1.0)


def test_a_study_of_images_is_measured_from_the_first_model_to_the_last(started, sites):
    """A CNN, end to end at the hub: what is shown is what its model says of these images."""
    study = advance(started(npz_of(images()), **CNN))
    for _ in range(2):
        for site in sites.values():
            site.work()
        study = advance(study)
    assert study.status == "completed"
    shown = models.utility(study)
    assert [each.public["rows"] for each in shown] == [12, 12, 12]
    pixels = np.moveaxis(images()["image"], -1, 1).reshape(12, -1) / 127.5 - 1
    newest = models.latest(study)
    scores = evaluation.predict(
        protocol=protocol_of(study),
        tensors=unpack(blobs.read(newest.reported_digest)),
        features=pixels.astype(np.float32),
    )
    wanted = evaluation.judged(protocol_of(study), scores, (LABELS == "malignant").astype(int))
    assert {key: newest.public[key] for key in wanted} == wanted


SERIES = {
    "data": {
        "unit": "patient",
        "patient_column": "who",
        "max_rows_per_patient": 1,
        "windows": {"length": 2, "order": ["week"]},
    },
    "model": {"architecture": "lstm", "parameters": {"hidden": 16, "layers": 1}},
    "training": {"initialisation": "seeded"},
}
WEEKS = TABLE | {"who": ["a", "b", "a", "b"], "week": [2, 1, 1, 2]}


@pytest.mark.parametrize("kind", MAKERS)
def test_windows_are_cut_from_every_kind(written, kind):
    """Of two series of two weeks one window each."""
    study = written(MAKERS[kind](WEEKS), **SERIES)
    found = public_rows.read(Path(study.public_evaluation.path), protocol_of(study).data)
    assert found.features.shape == (2, 4)
    assert sorted(found.targets.tolist()) == [0, 1]


def test_a_changed_contract_asks_the_kept_file_again(written, lead):
    study = written(parquet_of(TABLE))
    named = protocol_of(study).evaluation.public_digest
    evaluation_ = FROM_NONE | {"public_digest": named}
    narrow = [{"name": "age", "low": 20, "high": 60}]
    document = varied({"evaluation": evaluation_, "data": {"columns": narrow}})
    with pytest.raises(PublicRowsRefused, match="column 'age': out of bounds"):
        studies.revise(study, Protocol.model_validate(document), by=lead)
    wide = [{"name": "age", "low": 0, "high": 120}]
    document = varied({"evaluation": evaluation_, "data": {"columns": wide}})
    studies.revise(study, Protocol.model_validate(document), by=lead)
    assert protocol_of(study).data.columns[0].high == 120
    without = varied({"evaluation": FROM_NONE, "data": {"columns": narrow}})
    studies.revise(study, Protocol.model_validate(without), by=lead)
    assert not study.public_evaluation
