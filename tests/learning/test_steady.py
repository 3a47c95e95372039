"""What a row adds depends on that row alone: not on how many others there are, nor on its place.

Exact equality, of what this machine's matrix products give.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from federation.learning import architectures, engines, steady
from federation.learning.architectures import ArchitectureError
from federation.learning.evaluation import predict
from federation.learning.initial import initial_tensors
from federation.learning.layout import Layout
from federation.learning.losses import Loss
from federation.learning.training import prepare
from tests.learning.builders import protocol, rows

COUNTS = [1, 2, 3, 5, 7, 11, 31, 32, 33, 63, 65, 95, 97, 130]


@pytest.mark.parametrize("outputs", [1, 2, 3, 7, 10, 15, 16, 33])
@pytest.mark.parametrize("inputs", [1, 7, 10, 30, 50, 100])
def test_a_rows_product_does_not_depend_on_its_place(inputs, outputs):
    torch.manual_seed(inputs * 100 + outputs)
    weight, bias = torch.randn(outputs, inputs), torch.randn(outputs)
    row, gradient = torch.randn(1, inputs), torch.randn(1, outputs)
    for count in (32, 64, 96, 256):
        found = steady.linear(row.expand(count, -1).contiguous(), weight, bias)
        assert (found == found[0]).all()
        back = steady.back(gradient.expand(count, -1).contiguous(), weight)
        assert (back == back[0]).all()


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 40), st.booleans())
def test_the_products_are_torchs(inputs, outputs, count, biased):
    layer = steady.Linear(inputs, outputs, bias=biased)
    x = torch.randn(count, inputs)
    expected = torch.nn.functional.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    g = torch.randn(count, outputs)
    torch.testing.assert_close(steady.back(g, layer.weight), g @ layer.weight, rtol=1e-4, atol=1e-5)


MODELS = {
    "logistic": ({"architecture": "logistic"}, 2, (30,)),
    "logistic, 3 classes": ({"architecture": "logistic"}, 3, (10,)),
    "mlp": ({"architecture": "mlp", "parameters": {"hidden": [64]}}, 2, (30,)),
    "mlp, 10 classes": ({"architecture": "mlp", "parameters": {"hidden": [50]}}, 10, (100,)),
    "polynomial": ({"architecture": "polynomial"}, 2, (17,)),
    "cnn": ({"architecture": "cnn", "parameters": {"channels": [8]}}, 3, (1, 8, 8)),
    "lstm": ({"architecture": "lstm", "parameters": {"hidden": 16}}, 3, (6, 5)),
    "gru": ({"architecture": "gru", "parameters": {"hidden": 16}}, 2, (6, 5)),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU])
@pytest.mark.parametrize(("inputs", "hidden"), [(1, 16), (3, 20), (7, 24), (24, 100)])
def test_equal_windows_have_equal_gradients(kind, inputs, hidden, threads, several):
    """The narrowest recurrent layers there may be, and some that are not round."""
    several(threads)
    torch.manual_seed(hidden)

    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = kind(inputs, hidden, batch_first=True)
            self.head = steady.Linear(hidden, 3)

        def forward(self, rows):
            return self.head(self.layer(rows.view(-1, 4, inputs))[0][:, -1])

    example = torch.zeros(2, 4 * inputs)
    gradients = engines.get("bookkeeping").gradients(Last(), Loss(), example)
    row = torch.randn(1, 4 * inputs)
    for count in (1, 8, 24, 32, 96):
        rows = row.expand(count, -1).contiguous()
        found = gradients.per_unit(rows, torch.ones(count, dtype=torch.int64), Layout(None, count))
        assert (found == found[0]).all(), count


@pytest.mark.parametrize("name", ["lstm", "gru", "cnn"])
def test_narrow_layers_are_refused(name):
    narrow = {"channels": [12]} if name == "cnn" else {"hidden": 12}
    with pytest.raises(ArchitectureError, match=r"multiple of 8|greater than or equal to 16"):
        architectures.read(name, narrow)


@given(st.integers(1, 9000), st.data())
def test_rows_are_filled_up_within_what_fits(room, data):
    most = steady.together(room)
    assert 1 <= most <= room
    assert most % 32 == 0 or most in (1, 8, 16)
    count = data.draw(st.integers(0, most))
    filled = steady.filled(count, most)
    assert count <= filled <= most
    assert filled in ({0} if count == 0 else {most} if most < 32 else {-(-count // 32) * 32})


@pytest.fixture
def several():
    """Sets the number of threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def made(name):
    """(study, weights, 140 rows) of a model with weights of ordinary size."""
    model, classes, shape = MODELS[name]
    width = math.prod(shape)
    study = protocol(model=model, classes=classes, features=width, shape=shape)
    random = np.random.default_rng(1)
    weights = {
        name: random.normal(size=array.shape).astype(np.float32)
        for name, array in initial_tensors(study).items()
    }
    return study, weights, rows(140, classes=classes, features=width)


@pytest.mark.parametrize("name", MODELS)
def test_one_unit_more_moves_no_others_prediction(name):
    study, weights, data = made(name)
    for count in COUNTS:
        whole, rest = (
            predict(protocol=study, tensors=weights, features=data.features[first : count + 1])
            for first in (0, 1)
        )
        assert (whole[1:] == rest).all(), count


def test_the_last_rows_have_the_probabilities_they_have_among_others():
    """Which processors take one by one; of 300 logits some ten are then rounded another way."""
    study = protocol(features=1)
    weights = {name: np.ones_like(array) for name, array in initial_tensors(study).items()}
    features = np.linspace(-6, 6, 320, dtype=np.float32)[:, None]
    whole = predict(protocol=study, tensors=weights, features=features)
    for count in range(1, 300):
        found = predict(protocol=study, tensors=weights, features=features[:count])
        assert (found == whole[:count]).all(), count


@pytest.mark.parametrize("name", MODELS)
def test_one_unit_more_moves_no_others_gradient(name):
    study, weights, data = made(name)
    session = prepare(study, weights, data, 1.0, 1.0)
    for count in COUNTS:
        whole, rest = (units(session, np.arange(first, count + 1)) for first in (0, 1))
        assert (whole[1:] == rest).all(), count


def units(session, chosen):
    """[units, parameters]: what each unit of a chunk of the session would add, not clipped."""
    chunk = session.chunk(chosen, None, len(chosen))
    return session.sum._gradients.per_unit(chunk.features, chunk.targets, chunk.layout)


@pytest.mark.parametrize("name", ["bookkeeping", "opacus"])
@pytest.mark.parametrize("units", [None, [0, 1, 1, 2, 2]])
def test_spare_rows_add_nothing(name, units):
    torch.manual_seed(5)
    module = torch.nn.Sequential(steady.Linear(4, 3), torch.nn.Tanh(), steady.Linear(3, 3))
    gradients = engines.get(name).gradients(module, Loss(), torch.zeros(2, 4))
    features, targets = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])
    more = torch.cat([features, features[-1:].expand(6, -1)])
    labels = torch.cat([targets, targets[-1:].expand(6)])
    named = None if units is None else torch.tensor(units)
    count = 5 if units is None else 3
    bare, filled = Layout(named, count), Layout(named, count, spare=6)
    torch.testing.assert_close(
        gradients.clipped_sum(more, labels, filled, 0.3),
        gradients.clipped_sum(features, targets, bare, 0.3),
    )
    units_filled = gradients.per_unit(more, labels, filled)
    assert len(units_filled) == count
    torch.testing.assert_close(units_filled, gradients.per_unit(features, targets, bare))
