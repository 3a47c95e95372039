"""Every preset is trained by the rules, and clipped as Opacus clips it."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from federation.learning import architectures, engines
from federation.learning.initial import initial_tensors
from federation.learning.layout import Layout
from federation.learning.losses import Loss
from federation.learning.training import prepare
from tests.learning.test_architectures import PRESETS, rows_for, shape_for, study_of

CLASSES = 3
EACH = pytest.mark.parametrize(("name", "preset"), PRESETS)


def built(name, preset):
    chosen = architectures.get(name)
    parameters = architectures.read(name, chosen.presets[preset])
    return chosen.build(nn, shape_for(name), CLASSES, parameters)


def example(name):
    return torch.zeros(2, math.prod(shape_for(name)))


def clipped_sum(engine, module, batch):
    found = engines.get(engine).gradients(module, Loss(), batch[0][:2] * 0)
    return found.clipped_sum(*batch).double()


@EACH
def test_no_preset_falls_back(name, preset):
    assert engines.get("bookkeeping").refuses(built(name, preset), example(name)) is None


@EACH
@pytest.mark.parametrize(("bound", "units"), [(0.05, None), (50.0, [0, 1, 1, 2])])
def test_its_clipped_sums_are_those_of_opacus(name, preset, bound, units):
    torch.manual_seed(3)
    ours = built(name, preset)
    theirs = copy.deepcopy(ours)
    features = torch.randn(4, math.prod(shape_for(name)))
    targets = torch.tensor([0, 2, 1, 1])
    layout = Layout(None, 4) if units is None else Layout(torch.tensor(units), 3)
    found, expected = (
        clipped_sum(engine, module, (features.clone(), targets, layout, bound))
        for engine, module in (("bookkeeping", ours), ("opacus", theirs))
    )
    assert float(expected.norm()) > 0.01 * bound
    assert float((found - expected).norm()) <= 2e-3 * float(expected.norm())


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_opacus_follows_recurrent_layers_by_the_modules_own_weights(name):
    """They change in place between its calls, and nothing else of the module may."""
    torch.manual_seed(4)
    module = built(name, "small")
    before, weights = str(module), {n: id(p) for n, p in module.named_parameters()}
    gradients = engines.get("opacus").gradients(module, Loss(), example(name))
    batch = torch.randn(3, math.prod(shape_for(name))), torch.tensor([0, 2, 1]), Layout(None, 3)
    for factor in (1.0, 0.5):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.data.mul_(factor)
        found = gradients.clipped_sum(*batch, 1.0)
        expected = clipped_sum("bookkeeping", copy.deepcopy(module), (*batch, 1.0))
        assert float((found - expected).norm()) <= 2e-3 * float(expected.norm())
    assert str(module) == before
    assert {n: id(p) for n, p in module.named_parameters()} == weights


@pytest.mark.parametrize("name", ["lstm", "gru"])
@pytest.mark.parametrize("noise", ["float", "hardened"])
def test_opacus_trains_them(name, noise):
    study = study_of(name, "small", engine="opacus", noise=noise, sample_rate=1.0)
    session = prepare(study, initial_tensors(study), rows_for(name, 4), 1.0, 4.0)
    session.step()
    assert all(np.isfinite(array).all() for array in session.update().values())


def test_a_large_model_takes_more_rows_at_once_than_its_site_says():
    """What its noise takes anyway; else each small chunk would pass over 11 million weights."""
    for name, preset, least in (("resnet18", "chest X-rays", 32), ("logistic", "standard", 1)):
        study = study_of(name, preset)
        session = prepare(study, initial_tensors(study), rows_for(name, 4), 1.0, 1.0)
        session.chunk_bytes = 1
        assert session.chunk_rows >= least
        assert least > 1 or session.chunk_rows == 1
