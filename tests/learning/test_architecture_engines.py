"""Every preset is trained by the rules, and clipped as Opacus clips it."""

import math

import pytest
import torch
from opacus.layers import DPGRU, DPLSTM
from torch import nn

from federation.learning import architectures, engines
from federation.learning.initial import initial_tensors
from federation.learning.layout import Layout
from federation.learning.losses import Loss
from federation.learning.training import prepare
from tests.learning.test_architectures import PRESETS, rows_for, shape_for, study_of

CLASSES = 3
EACH = pytest.mark.parametrize(("name", "preset"), PRESETS)


class TheirLayers:
    """torch.nn, but with the recurrent layers that Opacus can follow."""

    LSTM, GRU = DPLSTM, DPGRU

    def __getattr__(self, name):
        return getattr(nn, name)


def built(name, preset, kinds=nn):
    chosen = architectures.get(name)
    parameters = architectures.read(name, chosen.presets[preset])
    return chosen.build(kinds, shape_for(name), CLASSES, parameters)


def example(name):
    return torch.zeros(2, math.prod(shape_for(name)))


def parts_of(module):
    """Opacus' layers take torch's names only when they are loaded by themselves."""
    return list(module.children()) or [module]


def clipped_sum(engine, module, batch):
    """By sorted names of the parameters, whose order differs between the libraries."""
    named = dict(module.named_parameters())
    found = engines.get(engine).gradients(module, Loss(), batch[0][:2] * 0).clipped_sum(*batch)
    pieces = found.double().split([parameter.numel() for parameter in named.values()])
    by_name = dict(zip(named, pieces, strict=True))
    return torch.cat([by_name[name] for name in sorted(by_name)])


@EACH
def test_no_preset_falls_back(name, preset):
    assert engines.get("bookkeeping").refuses(built(name, preset), example(name)) is None


@EACH
@pytest.mark.parametrize(("bound", "units"), [(0.05, None), (50.0, [0, 1, 1, 2])])
def test_its_clipped_sums_are_those_of_opacus(name, preset, bound, units):
    torch.manual_seed(3)
    ours, theirs = built(name, preset), built(name, preset, TheirLayers())
    for child, own in zip(parts_of(theirs), parts_of(ours), strict=True):
        child.load_state_dict(own.state_dict())
    features = torch.randn(4, math.prod(shape_for(name)))
    targets = torch.tensor([0, 2, 1, 1])
    layout = Layout(None, 4) if units is None else Layout(torch.tensor(units), 3)
    found, expected = (
        clipped_sum(engine, module, (features.clone(), targets, layout, bound))
        for engine, module in (("bookkeeping", ours), ("opacus", theirs))
    )
    assert float(expected.norm()) > 0.01 * bound
    assert float((found - expected).norm()) <= 2e-3 * float(expected.norm())


def test_a_large_model_takes_more_rows_at_once_than_its_site_says():
    """What its noise takes anyway; else each small chunk would pass over 11 million weights."""
    for name, preset, least in (("resnet18", "chest X-rays", 50), ("logistic", "standard", 1)):
        study = study_of(name, preset)
        session = prepare(study, initial_tensors(study), rows_for(name, 4), 1.0, 1.0)
        session.chunk_bytes = 1
        assert session.chunk_rows >= least
        assert least > 1 or session.chunk_rows == 1
