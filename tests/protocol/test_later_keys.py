"""Keys of later versions: absent at their default, so that what was approved keeps its digest."""

import pytest
from pydantic import ValidationError

from federation.protocol.diff import Change, differences
from federation.protocol.document import Protocol
from federation.protocol.study_file import parse, write
from tests.protocol.samples import protocol


def with_training(**changes):
    document = protocol().model_dump(mode="json")
    return Protocol.model_validate({**document, "training": document["training"] | changes})


@pytest.mark.parametrize("none", [{"proximal": 0}, {"proximal": 0.0}, {"noise": "float"}])
def test_the_default_spelt_out_has_the_same_digest(none):
    assert with_training(**none).digest == protocol().digest
    assert not set(none) & set(protocol().model_dump(mode="json")["training"])


def test_a_pull_is_part_of_what_is_approved():
    pulled = with_training(proximal=0.25)
    assert pulled.digest != protocol().digest
    assert differences(protocol(), pulled) == [Change("training.proximal", None, 0.25)]
    assert parse(write(pulled)).protocol == pulled


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf")])
def test_a_pull_that_is_none_is_refused(wrong):
    with pytest.raises(ValidationError, match="proximal"):
        with_training(proximal=wrong)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum"])
def test_a_pull_past_the_rounds_model_is_refused(optimiser):
    with pytest.raises(ValidationError, match="lower one of them"):
        with_training(proximal=4.0, learning_rate=0.3, optimiser=optimiser)
    assert with_training(proximal=4.0, learning_rate=0.25, optimiser=optimiser)
    assert with_training(proximal=4.0, learning_rate=0.3, optimiser="adam")
