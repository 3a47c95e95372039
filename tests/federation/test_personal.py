"""A study whose sites keep their last layers: the hub's models hold the shared ones alone."""

import pytest

from federation.learning import personal
from federation.learning.initial import initial_tensors
from federation.model_card import model_card
from federation.models import Checkpoint
from federation.protocol.tensors import unpack
from federation.selectors import models
from federation.services import blobs
from studies.selectors.protocols import protocol_of
from studies.services.errors import ProtocolRefused
from tests.federation.conftest import advance

MODEL = {"architecture": "mlp", "parameters": {"hidden": [4]}, "personal_layers": 1}
SHARED = {"0.weight", "0.bias"}


@pytest.fixture
def personalised(start, sites):
    """The whole study, played by three sites."""
    study = advance(start(model=MODEL))
    for _ in range(3):  # train, train, evaluate
        for site in sites.values():
            site.work()
        advance(study)
    return study


def test_every_model_of_the_hub_has_the_shared_layers_alone(personalised):
    assert personalised.status == "completed"
    rows = Checkpoint.objects.filter(study=personalised)
    assert rows.count() == 3
    for row in rows:
        for digest in (row.digest, row.reported_digest):
            assert set(unpack(blobs.read(digest))) == SHARED


def test_the_first_model_is_the_shared_part_of_the_protocols(personalised):
    first = unpack(blobs.read(Checkpoint.objects.get(number=0).digest))
    shared = personal.first(protocol_of(personalised)).shared
    assert all((first[name] == shared[name]).all() for name in SHARED)


def test_a_contribution_with_an_own_layer_is_rejected(start, sites):
    study = advance(start(model=MODEL))
    site = sites["zurich"]
    whole = initial_tensors(protocol_of(study))
    answer = site.contribute(site.take(), whole)
    assert answer.json()["accepted"] is False
    assert "the tensors are named" in answer.json()["reason"]


def test_the_card_says_what_the_file_lacks(personalised):
    text = model_card(personalised, models.latest(personalised))
    assert "**Shared layers only.** The last 1 of the model" in text


def test_too_many_own_layers_are_refused_before_anybody_is_asked(start):
    with pytest.raises(ProtocolRefused, match="at least one must be shared"):
        start(model=MODEL | {"personal_layers": 2})
