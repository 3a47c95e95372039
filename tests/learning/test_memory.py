"""How much memory a step takes: what the site allows, whatever its rows look like."""

import numpy as np
import pytest
import torch

from federation.learning import engines, grades, training
from federation.learning.alone import measured
from federation.learning.evaluation import histogram, predict
from federation.learning.gradients import clipped_rows
from federation.learning.initial import initial_tensors
from federation.learning.memory import CHUNK_BYTES, Peak, row_bytes
from federation.protocol.contract import Encoded
from tests.learning.builders import flat, grouped, protocol, rows

EACH = pytest.mark.parametrize(
    ("engine", "noise"), [(e, n) for e in engines.names() for n in grades.names()]
)
MIB = 1 << 20
MLP = {"architecture": "mlp", "parameters": {"hidden": [32]}}


def stepped(study, data, chunk_bytes):
    """The update of one step without noise, and the bytes that it took."""
    session = training.prepare(study, initial_tensors(study), data, 0.0, 1.0)
    session.chunk_bytes = chunk_bytes
    with Peak() as peak:
        session.step()
    return flat(session.update()), peak.bytes


@EACH
def test_one_large_patient_costs_no_more_than_as_many_small_ones(engine, noise):
    study = protocol(model=MLP, patients=True, engine=engine, noise=noise, sample_rate=1.0)
    even = grouped(rows(2000), np.arange(2000))
    uneven = grouped(rows(2000), np.maximum(0, np.arange(2000) - 1000))
    _, usual = stepped(study, even, 128 * MIB)
    _, found = stepped(study, uneven, 128 * MIB)
    assert found <= 1.5 * usual


@EACH
def test_a_patient_larger_than_a_chunk_is_summed_piece_by_piece(engine, noise):
    study = protocol(model=MLP, patients=True, engine=engine, noise=noise, sample_rate=1.0)
    data = grouped(rows(3003), units())
    exact = protocol(model=MLP, patients=True, engine="opacus", sample_rate=1.0)
    whole, _ = stepped(exact, data, 256 * MIB)
    pieces, peak = stepped(study, data, MIB)
    assert pieces == pytest.approx(whole, rel=1e-4, abs=1e-5)
    assert peak <= 2 * MIB


def units():
    """Two rows, then one patient of 3,000, then one row."""
    return np.repeat([0, 1, 2], [2, 3000, 1])


@EACH
def test_activations_count_as_weights_do(engine, noise):
    cnn = {"architecture": "cnn", "parameters": {"channels": [8, 16], "hidden": 0}}
    study = protocol(model=cnn, shape=(3, 32, 32), engine=engine, noise=noise, sample_rate=1.0)
    _, peak = stepped(study, rows(300, features=3 * 32 * 32), 16 * MIB)
    assert peak <= 24 * MIB


def test_what_a_row_takes_is_what_is_alive_at_once():
    def run(x):
        doubled = x * 2.0  # kept beside the two that follow
        tripled = x * 3.0
        del tripled
        return doubled, x * 4.0

    assert row_bytes(run, torch.zeros(2, 50)) == 2 * 50 * 4


CNN = {"architecture": "cnn", "parameters": {}}


def images(count):
    return protocol(model=CNN, shape=(3, 32, 32)), rows(count, features=3 * 32 * 32)


def test_looking_at_a_model_takes_what_the_site_allows():
    study, data = images(1500)
    given = {"protocol": study, "tensors": initial_tensors(study)}
    for look in (
        lambda: predict(**given, features=data.features, chunk_bytes=8 * MIB),
        lambda: histogram(**given, data=data, noise_multiplier=1.0, chunk_bytes=8 * MIB),
        lambda: measured(*given.values(), data, chunk_bytes=8 * MIB),
    ):
        with Peak() as peak:
            look()
        assert peak.bytes <= 12 * MIB


@pytest.mark.parametrize("engine", engines.names())
def test_canaries_gradients_are_made_in_bounded_memory(engine):
    mlp = {"architecture": "mlp", "parameters": {"hidden": [1000, 100]}}
    study, data = protocol(model=mlp, engine=engine), rows(256)
    with Peak() as peak:
        found = clipped_rows(study, initial_tensors(study), data, stride=50)
    assert peak.bytes <= 1.5 * CHUNK_BYTES
    alone = data.features[200:201], data.targets[200:201], np.arange(1), 1
    again = clipped_rows(study, initial_tensors(study), Encoded(*alone), stride=50)
    assert found[200] == pytest.approx(again[0], rel=1e-4, abs=1e-6)


def test_small_passes_change_no_prediction():
    study, data = images(100)
    given = {"protocol": study, "tensors": initial_tensors(study), "features": data.features}
    assert predict(**given, chunk_bytes=1) == pytest.approx(predict(**given), rel=1e-5)


@pytest.mark.parametrize("noise", grades.names())
def test_a_large_patient_is_clipped_as_one(noise):
    study = protocol(
        patients=True, noise=noise, sample_rate=1.0, learning_rate=1.0, max_grad_norm=0.25
    )
    data = grouped(rows(500), np.zeros(500, dtype=int))
    update, _ = stepped(study, data, 1)
    assert np.linalg.norm(update) == pytest.approx(0.25, rel=1e-4)
    assert np.linalg.norm(update) <= 0.25 * (1 + 1e-5)  # weights are float32
