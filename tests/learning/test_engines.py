"""The contract of the engines: the same clipped sums, whatever the rows hold, in any chunking."""

import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from torch import nn

from federation.learning import engines, rules
from federation.learning.faults import Unfit
from federation.learning.initial import initial_tensors
from federation.learning.layout import Layout
from federation.learning.losses import Loss
from federation.learning.training import prepare
from tests.learning.builders import protocol, rows

EACH = pytest.mark.parametrize("name", engines.names())


def chain(*sizes):
    layers = [nn.Linear(sizes[0], sizes[1])]
    for before, after in pairwise(sizes[1:]):
        layers += [nn.Tanh(), nn.Linear(before, after)]
    return nn.Sequential(*layers)


def gradients(name, module, inputs):
    return engines.get(name).gradients(module, Loss(), torch.zeros(2, inputs))


def by_hand(module, features, targets, layout, bound):
    """Autograd unit by unit, in float64."""
    module = module.double()
    total = 0.0
    units = layout.named()
    for unit in range(layout.n_units):
        mine = units == unit
        loss = Loss()(module(features[mine].double()), targets[mine])
        found = torch.autograd.grad(loss, list(module.parameters()), allow_unused=True)
        vector = torch.cat([g.flatten() for g in found])
        total = total + vector * min(1.0, bound / max(float(vector.norm()), 1e-300))
    module.float()
    return total


@EACH
@settings(deadline=None, max_examples=25)
@given(
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 40), st.sampled_from([1, 3])),
    units=st.lists(st.integers(0, 4), min_size=5, max_size=12),
    bound=st.floats(1e-2, 10),
    own=st.booleans(),
)
def test_the_clipped_sum_is_autograds_unit_by_unit(name, sizes, units, bound, own):
    torch.manual_seed(len(units))
    module = chain(*sizes)
    units = torch.tensor([0, 1, 2, 3, 4, *units])
    layout = Layout(None, len(units)) if own else Layout(units, 5)
    features = torch.randn(len(units), sizes[0])
    targets = torch.randint(0, max(2, sizes[-1]), (len(units),))
    expected = by_hand(module, features, targets, layout, bound)
    found = gradients(name, module, sizes[0]).clipped_sum(features, targets, layout, bound)
    assert found.double().numpy() == pytest.approx(expected.numpy(), rel=1e-3, abs=1e-4 * bound)


@EACH
def test_the_gradients_of_units_are_those_of_their_rows(name):
    module = chain(4, 6, 3)
    features, targets = torch.randn(7, 4), torch.randint(0, 3, (7,))
    units = torch.tensor([2, 0, 0, 1, 2, 2, 0])
    engine = gradients(name, module, 4)
    rows = engine.per_unit(features.clone(), targets, Layout(None, 7))
    found = engine.per_unit(features.clone(), targets, Layout(units, 4))
    assert found.dtype == torch.float64
    assert found[3].eq(0).all()
    for unit in range(3):
        assert torch.allclose(found[unit], rows[units == unit].sum(0), atol=1e-5)


@EACH
def test_no_row_at_all_is_a_sum_of_zero(name):
    engine = gradients(name, chain(4, 5, 1), 4)
    nobody = torch.empty(0, 4), torch.empty(0, dtype=torch.int64)
    assert not engine.clipped_sum(*nobody, Layout(None, 0), 1.0).any()
    assert engine.per_unit(*nobody, Layout(None, 0)).shape == (0, 31)


@EACH
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 3e38])
def test_a_poisoned_row_moves_nothing_but_its_own_unit(name, poison):
    torch.manual_seed(0)
    module = chain(4, 8, 1)
    features, targets = torch.randn(6, 4), torch.randint(0, 2, (6,))
    units = torch.tensor([0, 0, 1, 1, 2, 2])
    engine = gradients(name, module, 4)
    kept = torch.tensor([True, True, True, False, True, True])
    without = engine.clipped_sum(
        features[kept], targets[kept], Layout(units[kept], 3), 0.5
    ).double()
    features[3, 1] = poison
    found = engine.clipped_sum(features.clone(), targets, Layout(units, 3), 0.5).double()
    if abs(poison) == 3e38:  # finite, so it may count; but no more than its unit may
        without = engine.clipped_sum(
            features[units != 1], targets[units != 1], Layout(torch.tensor([0, 0, 1, 1]), 2), 0.5
        ).double()
        assert (found - without).norm() <= 0.5 + 1e-6
    else:
        assert torch.allclose(found, without, atol=1e-6)


@EACH
@pytest.mark.parametrize("size", [1e-38, 1e-30, 1e-20, 1e-10, 1.0, 1e10, 1e18, 1e20, 1e30, 3e38])
@pytest.mark.parametrize("clip", [1e-6, 1.0, 1e6])
def test_no_size_of_number_passes_the_clip(name, size, clip):
    """One unit's contribution, measured in float64, with inputs and weights of every size."""
    torch.manual_seed(1)
    for weight in (1e-20, 1.0, 1e10):
        module = chain(5, 7, 1)
        with torch.no_grad():
            module[2].weight.mul_(weight)
        engine = gradients(name, module, 5)
        features = torch.randn(3, 5) * size
        features[1, :4] *= 1e-15
        for units in (None, torch.tensor([0, 0, 0])):
            for row in range(3) if units is None else [slice(None)]:
                one = features[row].view(-1, 5)
                layout = Layout(units, 1)
                target = torch.zeros(len(one), dtype=torch.int64)
                found = engine.clipped_sum(one.clone(), target, layout, clip).double()
                assert found.isfinite().all()
                assert found.norm() <= clip


def test_the_straight_pass_is_the_tapped_one():
    module = chain(6, 5, 4, 3)
    straight = gradients("bookkeeping", module, 6)
    wrapped = gradients("bookkeeping", nn.Sequential(nn.Flatten(), module), 6)
    batch = torch.randn(9, 6), torch.randint(0, 3, (9,)), Layout(None, 9), 0.7
    assert torch.allclose(straight.clipped_sum(*batch), wrapped.clipped_sum(*batch), atol=1e-6)


class Odd(nn.Module):
    """A layer of its own without a rule."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x * self.scale


class Twice(nn.Module):
    """One layer that runs twice."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(torch.tanh(self.layer(x)))


def tied():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    return nn.Sequential(first, nn.Tanh(), second)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.Sequential(nn.Linear(3, 3), Odd()), "no rule for the layer '1' \\(Odd\\)"),
        (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), "BatchNorm1d.*mixes the rows"),
        (Twice(), "runs 2 times"),
        (tied(), "share a weight"),
    ],
)
def test_what_has_no_rule_falls_back_as_a_whole_and_says_so(module, reason):
    with capture_logs() as logs:
        engine = engines.chosen("bookkeeping", module, torch.zeros(2, 3))
    assert engine.name == "opacus"
    (record,) = logs
    assert record["event"] == "engine_fell_back"
    assert (record["engine"], record["to"]) == ("bookkeeping", "opacus")
    assert re.search(reason, record["reason"])


MIXERS = [
    nn.BatchNorm1d(3),
    nn.BatchNorm1d(3, affine=False),
    nn.BatchNorm1d(3, track_running_stats=False),
    nn.BatchNorm1d(3, affine=False, track_running_stats=False),
    nn.SyncBatchNorm(3, affine=False, track_running_stats=False),
    nn.Softmax(dim=0),
    nn.LogSoftmax(),
]


@EACH
@pytest.mark.parametrize("layer", MIXERS, ids=repr)
def test_what_mixes_rows_no_engine_takes(name, layer):
    module = nn.Sequential(nn.Linear(3, 3), layer, nn.Linear(3, 1))
    with pytest.raises(Unfit, match="mixes the rows of a batch"):
        engines.chosen(name, module, torch.zeros(2, 3)).gradients(module, Loss(), torch.zeros(2, 3))


def test_softmax_within_a_row_mixes_nothing():
    assert rules.why_not(nn.Sequential(nn.Linear(3, 3), nn.Softmax(dim=1))) is None


def test_nothing_falls_back_that_has_rules():
    with capture_logs() as logs:
        engine = engines.chosen("bookkeeping", chain(3, 4, 1), torch.zeros(2, 3))
    assert engine.name == "bookkeeping"
    assert not logs


def test_an_unknown_engine_is_refused_with_the_list():
    with pytest.raises(engines.UnknownEngine, match="choose one of: bookkeeping, opacus"):
        engines.get("magic")


def test_rows_are_named_where_they_lie() -> None:
    """On a graphics processor an index on the processor would be refused."""
    there = torch.device("meta")
    assert Layout(None, 3, there).named().device == there
    assert Layout(None, 3).named().tolist() == [0, 1, 2]


class Gated(nn.Module):
    """Autograd has to keep the features themselves."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(3, 3)

    def forward(self, x):
        return self.gate(x) * x


@EACH
def test_an_engine_has_autograd_where_its_caller_has_none(name):
    """As in a session's step, which makes rows that autograd may keep."""
    batch = torch.randn(6, 3), torch.randint(0, 3, (6,)), Layout(None, 6)
    engine = gradients(name, Gated(), 3)
    with torch.inference_mode():
        found = engine.clipped_sum(*batch, 0.5)
        units = engine.per_unit(*batch)
    assert torch.equal(found, engine.clipped_sum(*batch, 0.5))
    assert torch.equal(units, engine.per_unit(*batch))


def test_a_session_makes_rows_that_autograd_may_keep():
    study = protocol(sample_rate=1.0)
    session = prepare(study, initial_tensors(study), rows(8), 1.0, 8.0)
    with torch.inference_mode():
        chunk = session.chunk(np.arange(8), None, 8)
    assert not chunk.features.is_inference()
    assert not chunk.targets.is_inference()
