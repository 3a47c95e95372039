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


def with_model(**changes):
    document = protocol().model_dump(mode="json")
    sections = {name: changes.pop(name) for name in ("audit", "evaluation") if name in changes}
    return Protocol.model_validate({**document, "model": document["model"] | changes} | sections)


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


def test_a_pull_that_adam_would_scale_is_refused():
    """Without noise, μ = 2 and learning rate 0.05 gave models that were wrong about every row."""
    with pytest.raises(ValidationError, match="leave it at 0, or choose sgd or momentum"):
        with_training(proximal=1e-3, optimiser="adam")
    assert with_training(proximal=0.0, optimiser="adam")


def test_own_layers_are_part_of_what_is_approved():
    assert with_model(personal_layers=0).digest == protocol().digest
    own = with_model(personal_layers=1)
    assert differences(protocol(), own) == [Change("model.personal_layers", None, 1)]
    assert parse(write(own)).protocol == own


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"audit": {"canaries": 20}}, "what canaries are looked for in"),
        ({"evaluation": {"public_digest": "ab" * 32}}, "no whole model to score"),
    ],
)
def test_what_needs_the_whole_model_is_refused(sections, says):
    assert with_model(**sections)
    with pytest.raises(ValidationError, match=says):
        with_model(personal_layers=1, **sections)
    with pytest.raises(ValidationError, match="personal_layers"):
        with_model(personal_layers=-1)
