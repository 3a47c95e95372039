"""A model's size is known before it is made; too large a one takes no memory and is told."""

import pytest
import torch

from federation.learning.architectures import ArchitectureError
from federation.learning.initial import initial_tensors
from federation.learning.modules import build, weights
from federation.learning.personal import first
from federation.learning.trial import check
from tests.learning.builders import flat, protocol
from tests.learning.test_architectures import PRESETS, study_of

WIDE = (4, 1024, 1024)  # 2^22 numbers in a row


def of_hidden(units):
    return protocol(model={"architecture": "mlp", "parameters": {"hidden": [units]}}, shape=WIDE)


@pytest.mark.parametrize("make", [initial_tensors, first, lambda study: check(study, 1.0, 1.0)])
def test_what_cannot_travel_is_told(make):
    with pytest.raises(ValueError, match="the model takes 528 MiB and at most 512 travel"):
        make(of_hidden(33))
    with pytest.raises(ValueError, match="the model takes 65,536 MiB"):
        make(of_hidden(4096))


def test_it_is_the_models_fault():
    with pytest.raises(ArchitectureError, match=r"^model\.parameters: "):
        initial_tensors(of_hidden(33))


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_the_seeds_numbers_are_all_for_the_weights(name, preset):
    study = study_of(name, preset, initialisation="seeded", seed=7)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        wanted = weights(build(study))
    assert flat(initial_tensors(study)).tobytes() == flat(wanted).tobytes()
