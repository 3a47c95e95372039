"""What a patient adds depends on that patient's rows alone, however many there are of whom.

Exact equality, of what this machine's matrix products give: rows that cancel leave a patient with
nothing but its rounding, and the clip makes any length of that.
"""

import math

import numpy as np
import pytest
import torch

from federation.learning import steady
from federation.learning.engines import bookkeeping
from federation.learning.initial import initial_tensors
from federation.learning.training import prepare
from federation.protocol.contract import Encoded
from tests.learning.builders import protocol

COUNTS = [1, 32, 2, 7, 4, 1, 16, 9, 33, 5, 8, 2, 64, 3, 17, 6]  # rows of each patient
MODELS = {
    "logistic": ({"architecture": "logistic"}, 2, (30,)),
    "logistic, 3 classes": ({"architecture": "logistic"}, 3, (10,)),
    "mlp": ({"architecture": "mlp", "parameters": {"hidden": [17]}}, 10, (31,)),
    "cnn": ({"architecture": "cnn", "parameters": {"channels": [8]}}, 3, (1, 9, 9)),
    "lstm": ({"architecture": "lstm", "parameters": {"hidden": 16}}, 3, (3, 5)),
    "gru": ({"architecture": "gru", "parameters": {"hidden": 100}}, 2, (5, 7)),
}


@pytest.fixture(params=[1, 2])
def threads(request):
    """One thread, and as many as a site computes with."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("middle", [1, 3, 4, 16, 33, 64])
@pytest.mark.parametrize("columns", [1, 5, 10, 30])
@pytest.mark.parametrize("rows", [1, 2, 3, 10, 17])
@pytest.mark.usefixtures("threads")
def test_a_product_of_a_batch_does_not_depend_on_its_place(rows, columns, middle):
    torch.manual_seed(rows * columns)
    a, b = torch.randn(1, middle, rows), torch.randn(1, middle, columns)
    first = steady.batched(a.transpose(1, 2), b)
    torch.testing.assert_close(first, a.transpose(1, 2) @ b)
    for count in (2, 3, 8, 33):
        many = a.expand(count, -1, -1).contiguous(), b.expand(count, -1, -1).contiguous()
        assert (steady.batched(many[0].transpose(1, 2), many[1]) == first).all()


@pytest.mark.parametrize("width", [5, 7, 31])
@pytest.mark.parametrize("steps", [3, 4, 7, 24])
@pytest.mark.usefixtures("threads")
def test_steps_that_come_first_in_memory_make_no_difference(steps, width):
    torch.manual_seed(width)
    window = torch.randn(steps, 1, width)
    for count in (8, 32, 96):
        windows = window.expand(-1, count, -1).contiguous().transpose(0, 1)
        found = steady.batched(windows, windows.transpose(1, 2))
        assert (found == found[0]).all()


def made(name, counts, **training):
    """A session over patients of so many rows, at weights of ordinary size."""
    model, classes, shape = MODELS[name]
    width = math.prod(shape)
    study = protocol(
        model=model, classes=classes, patients=True, features=width, shape=shape, **training
    )
    random = np.random.default_rng(1)
    weights = {
        name: random.normal(size=array.shape).astype(np.float32)
        for name, array in initial_tensors(study).items()
    }
    rows = sum(counts)
    x = random.normal(size=(rows, width)).astype(np.float32)
    units = np.repeat(np.arange(len(counts)), counts)
    data = Encoded(x, random.integers(0, classes, rows), units, len(counts))
    return prepare(study, weights, data, 1.0, 1.0)


def added(session, batch):
    """[units, parameters] and [units]: gradients, and what their clip is made of."""
    ((rows, units, count),) = session.rows.chunks(batch, session.chunk_rows)
    chunk = session.chunk(rows, units, count)
    gradients = session.sum._gradients
    whole = gradients.per_unit(chunk.features, chunk.targets, chunk.layout)
    parts = gradients._run(chunk.features, chunk.targets)
    bookkeeping._drop(parts)
    return whole, bookkeeping._squares(parts, chunk.layout.filled())[:count]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("threads")
def test_one_patient_less_moves_no_others_gradient(name):
    session = made(name, COUNTS)
    every = np.arange(len(COUNTS))
    whole, squares = added(session, every)
    for gone in (0, 1, every[1:3], every[5:], every[:-2], [0, 1, 8, 12]):
        rest = np.setdiff1d(every, gone)
        gradients, lengths = added(session, rest)
        assert (gradients == whole[rest]).all(), gone
        assert (lengths == squares[rest]).all(), gone


@pytest.mark.parametrize("name", ["lstm", "gru"])
@pytest.mark.usefixtures("threads")
def test_a_windows_length_does_not_depend_on_its_place(name):
    session = made(name, [1] * 40)
    every = np.arange(40)
    whole, squares = added(session, every)
    for first in (1, 6, 9, 39):
        gradients, lengths = added(session, every[first:])
        assert (gradients == whole[first:]).all()
        assert (lengths == squares[first:]).all()


def cancelling(patients, rows, width):
    """Patients with each row twice, under either class; patient 0 has one such pair."""
    random = np.random.default_rng(0)
    base = random.normal(size=(patients, rows, width)) + 1
    turned = np.stack([own[random.permutation(rows)] for own in base])
    x = np.concatenate([np.ones((2, width)), np.hstack([base, turned]).reshape(-1, width)])
    targets = np.concatenate([[0, 1], np.tile(np.repeat([0, 1], rows), patients)])
    units = np.concatenate([[0, 0], np.repeat(np.arange(1, patients + 1), 2 * rows)])
    return Encoded(x.astype(np.float32), targets, units, patients + 1)


@pytest.mark.parametrize("noise", ["float", "hardened"])
def test_who_adds_nothing_moves_nothing(noise):
    """The others' gradients are rounding alone, and as long as the clip."""
    study = protocol(patients=True, features=30, noise=noise, max_grad_norm=1e-8)
    data = cancelling(300, 16, 30)
    zeros = {name: np.zeros_like(array) for name, array in initial_tensors(study).items()}
    session = prepare(study, zeros, data, 1.0, 1.0)
    sums = []
    for first in (0, 1):
        for rows, units, count in session.rows.chunks(np.arange(first, 301), session.chunk_rows):
            session.sum.add(session.chunk(rows, units, count))
        sums.append(session.sum._sum.double())
        session.sum._sum = None
    clip = 2.0**24 if noise == "hardened" else 1e-8  # in the sum's own unit
    assert torch.linalg.vector_norm(sums[0] - sums[1]) < 0.01 * clip
