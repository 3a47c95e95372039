"""Every rule: clipped sums as Opacus has them, and each unit's sum as autograd has it."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.layers import DPGRU, DPLSTM
from torch import nn

from federation.learning import engines
from federation.learning.layout import Layout
from federation.learning.losses import Loss
from federation.learning.rules import rule_for

CLASSES = 3
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


class Last(nn.Module):
    """A recurrent layer, and a Linear one on its last output."""

    def __init__(self, layer, hidden):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(hidden, CLASSES)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Words(nn.Module):
    """Indices looked up, and a Linear layer on their mean."""

    def __init__(self, entries, width, padding):
        super().__init__()
        self.entries = entries
        self.table = nn.Embedding(entries, width, padding_idx=padding)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x):
        return self.head(self.table(x.abs().mul(10).long() % self.entries).tanh().mean(1))


def linear_in_time(draw):
    a, b = draw(st.integers(1, 7)), draw(st.integers(1, 9))
    module = nn.Sequential(
        nn.Linear(a, b), nn.Tanh(), nn.Flatten(), nn.Linear(b * 6, CLASSES, bias=False)
    )
    return module, module, (6, a)


def convolution(draw, axes):
    groups = draw(st.sampled_from([1, 2]))
    inputs, outputs = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    options = {
        "stride": draw(st.integers(1, 2)),
        "padding": draw(st.sampled_from([0, 1, "valid"])),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    if options["stride"] == 1 and draw(st.booleans()):
        options["padding"] = "same"
    kind, pool = (
        (nn.Conv1d, nn.AdaptiveAvgPool1d(2)) if axes == 1 else (nn.Conv2d, nn.AdaptiveAvgPool2d(2))
    )
    layer = kind(inputs, outputs, draw(st.integers(1, 3)), **options)
    module = nn.Sequential(
        layer, nn.ReLU(inplace=True), pool, nn.Flatten(), nn.Linear(outputs * 2**axes, CLASSES)
    )
    return module, module, (inputs, *[draw(st.integers(7, 9))] * axes)


def recurrent(draw, kind, theirs):
    inputs, hidden = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    layers, bias = draw(st.integers(1, 3)), draw(st.booleans())
    ours = kind(inputs, hidden, num_layers=layers, batch_first=True, bias=bias)
    reference = theirs(inputs, hidden, num_layers=layers, batch_first=True, bias=bias)
    reference.load_state_dict(ours.state_dict())
    first, second = Last(ours, hidden), Last(reference, hidden)
    second.head.load_state_dict(first.head.state_dict())
    return first, second, (draw(st.integers(1, 7)), inputs)


def group_norm(draw):
    channels = 2 * draw(st.integers(1, 3))
    module = nn.Sequential(
        nn.GroupNorm(2, channels), nn.Tanh(), nn.Flatten(), nn.Linear(channels * 16, CLASSES)
    )
    return module, module, (channels, 4, 4)


def layer_norm(draw):
    shape = draw(st.sampled_from([(5,), (4, 5)]))
    module = nn.Sequential(nn.LayerNorm(shape), nn.Flatten(), nn.Linear(20, CLASSES))
    return module, module, (4, 5)


def embedding(draw):
    padding = draw(st.sampled_from([None, 0]))
    module = Words(draw(st.integers(2, 12)), draw(st.integers(1, 5)), padding)
    return module, module, (draw(st.integers(1, 6)),)


KINDS = {
    "linear": linear_in_time,
    "conv1d": lambda draw: convolution(draw, 1),
    "conv2d": lambda draw: convolution(draw, 2),
    "lstm": lambda draw: recurrent(draw, nn.LSTM, DPLSTM),
    "gru": lambda draw: recurrent(draw, nn.GRU, DPGRU),
    "group_norm": group_norm,
    "layer_norm": layer_norm,
    "embedding": embedding,
}
EACH = pytest.mark.parametrize("kind", KINDS)
MANY = settings(deadline=None, max_examples=8)


def batch(shape, rows, units):
    features, targets = torch.randn(rows, *shape), torch.randint(0, CLASSES, (rows,))
    layout = Layout(None, rows) if units is None else Layout(units, int(units.max()) + 1)
    return features, targets, layout


def units_of(draw, rows):
    if draw(st.booleans()):
        return None
    return torch.tensor(draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)))


@EACH
@MANY
@given(data=st.data())
def test_the_clipped_sum_is_opacus(kind, data):
    torch.manual_seed(data.draw(st.integers(0, 99)))
    ours, theirs, shape = KINDS[kind](data.draw)
    if kind == "embedding":
        ours.table.padding_idx = None  # whose gradient Opacus does not leave out, as torch does
    features, targets, layout = batch(shape, 9, units_of(data.draw, 9))
    bound = data.draw(st.sampled_from([0.05, 0.5, 100.0]))
    example = torch.zeros(2, *shape)
    # A copy, for Opacus leaves its hooks behind.
    reference = engines.get("opacus").gradients(copy.deepcopy(theirs), Loss(), example)
    expected = reference.clipped_sum(features.clone(), targets, layout, bound)
    assert engines.get("bookkeeping").refuses(ours, example) is None
    engine = engines.get("bookkeeping").gradients(ours, Loss(), example)
    found = engine.clipped_sum(features, targets, layout, bound).double()
    if ours is not theirs:
        named = dict(theirs.named_parameters())
        sizes = [p.numel() for p in theirs.parameters()]
        pieces = dict(zip(named, expected.split(sizes), strict=True))
        expected = torch.cat([pieces[name] for name, _ in ours.named_parameters()])
    assert torch.allclose(found, expected, rtol=2e-3, atol=1e-4 * bound)
    once = engine.clipped_sum(features[:1], targets[:1], Layout(None, 1), bound)
    assert once.double().norm() <= bound


@EACH
@MANY
@given(data=st.data())
def test_each_units_sum_is_autograds(kind, data):
    torch.manual_seed(data.draw(st.integers(0, 99)))
    module, _, shape = KINDS[kind](data.draw)
    features, targets, layout = batch(shape, 6, units_of(data.draw, 6))
    expected = torch.zeros(layout.n_units, sum(p.numel() for p in module.parameters()))
    for row, unit in enumerate(layout.named()):
        loss = Loss()(module(features[row : row + 1].clone()), targets[row : row + 1])
        found = torch.autograd.grad(loss, list(module.parameters()))
        expected[unit] += torch.cat([g.flatten() for g in found])
    engine = engines.get("bookkeeping").gradients(module, Loss(), torch.zeros(2, *shape))
    found = engine.per_unit(features, targets, layout)
    assert torch.allclose(found, expected.double(), rtol=1e-3, atol=1e-5)


@EACH
@settings(deadline=None, max_examples=5)
@given(data=st.data())
def test_a_poisoned_row_moves_nothing_else(kind, data):
    torch.manual_seed(3)
    module, _, shape = KINDS[kind](data.draw)
    if kind == "embedding":  # its features are indices, which cannot be infinite
        return
    features, targets, layout = batch(shape, 6, torch.tensor([0, 0, 1, 1, 2, 2]))
    engine = engines.get("bookkeeping").gradients(module, Loss(), torch.zeros(2, *shape))
    kept = torch.tensor([0, 1, 2, 4, 5])
    expected = engine.clipped_sum(features[kept], targets[kept], Layout(layout.units[kept], 3), 0.5)
    features.view(6, -1)[3, 0] = data.draw(st.sampled_from([float("nan"), float("inf")]))
    found = engine.clipped_sum(features, targets, layout, 0.5)
    assert torch.allclose(found, expected, atol=1e-5)
    whole = engine.per_unit(features, targets, layout)
    assert whole.isfinite().all()


@EACH
@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e6, 1e12, 1e19, 1e30])
def test_no_size_of_number_passes_the_clip(kind, size):
    """Measured in float64, where positions cancel and where squares overflow or vanish."""

    @settings(deadline=None, max_examples=4)
    @given(data=st.data())
    def adverse(data):
        torch.manual_seed(data.draw(st.integers(0, 9)))
        module, _, shape = KINDS[kind](data.draw)
        engine = engines.get("bookkeeping").gradients(module, Loss(), torch.zeros(2, *shape))
        features = torch.randn(4, *shape) * size
        features[1] = features[0]
        features[2] = -features[0]
        targets = torch.tensor([0, 1, 0, 2])
        for layout in (Layout(torch.zeros(4, dtype=torch.int64), 1), Layout(None, 1)):
            rows = 4 if layout.units is not None else 1
            found = engine.clipped_sum(features[:rows], targets[:rows], layout, 1e-3).double()
            assert found.isfinite().all()
            assert found.norm() <= 1e-3

    adverse()


@EACH
@settings(deadline=None, max_examples=5)
@given(data=st.data())
def test_what_a_unit_adds_does_not_depend_on_the_others(kind, data):
    """Not even by the slack for rounding: many units clipped a little less add up to a clip."""
    torch.manual_seed(data.draw(st.integers(0, 99)))
    module, _, shape = KINDS[kind](data.draw)
    engine = engines.get("bookkeeping").gradients(module, Loss(), torch.zeros(2, *shape))
    units = torch.tensor([0, 1, 1] + [2] * 30 + [3] * 5)
    features, targets, layout = batch(shape, len(units), units)
    whole = engine.clipped_sum(features, targets, layout, 1e-3).double()
    alone = torch.zeros_like(whole)
    for unit in range(4):
        mine = units == unit
        one = Layout(torch.zeros(int(mine.sum()), dtype=torch.int64), 1)
        alone += engine.clipped_sum(features[mine], targets[mine], one, 1e-3)
    assert (whole - alone).norm() < 1e-5 * 1e-3


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(2, 3, bidirectional=True),
        nn.LSTM(2, 3, proj_size=2),
        nn.GRU(2, 3, num_layers=2, dropout=0.1),
        nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"),
        nn.Embedding(3, 2, max_norm=1.0),
        nn.Embedding(3, 2, scale_grad_by_freq=True),
        nn.Embedding(3, 2, sparse=True),
    ],
    ids=repr,
)
def test_what_a_rule_cannot_do_it_refuses_with_advice(layer):
    reason = rule_for(layer).refuses(layer)
    assert any(word in reason for word in ("use", "set", "leave"))


def test_a_subclass_has_no_rule():
    class Mine(nn.Linear):
        pass

    assert rule_for(Mine(2, 2)) is None
