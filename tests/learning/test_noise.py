"""The noise is as large as it is priced, fresh each time, and drawn once per logical batch."""

import numpy as np
import pytest
from scipy import stats

from federation.learning.noise import Keystream, gaussian
from federation.learning.training import train
from federation.protocol.contract import Encoded
from tests.learning.builders import FEATURES, flat, nothing, protocol, rows
from tests.learning.stepping import quiet_update


def zero_gradients(count):
    """Rows whose gradients are all zero: the model is already certain and right."""
    features = np.zeros((count, FEATURES), np.float32)
    return Encoded(features, np.ones(count, np.int64), np.arange(count), count)


def certain(study):
    """A logistic model that answers class 1 with probability 1 whatever it is shown."""
    return {
        "weight": np.zeros((1, FEATURES), np.float32),
        "bias": np.full(1, 200.0, np.float32),
    }


def within_chi_square(values, deviation):
    """Whether mean-zero normal `values` have this deviation, refused once in a million tests."""
    scaled = np.sum((np.asarray(values) / deviation) ** 2)
    low, high = stats.chi2.interval(1 - 1e-6, np.size(values))
    return low <= scaled <= high


@pytest.mark.parametrize("clip", [0.5, 2.0])
def test_the_update_has_the_promised_variance(clip):
    study = protocol(sample_rate=1.0, local_steps=1, learning_rate=1.0, max_grad_norm=clip)
    data = zero_gradients(5)
    updates = [
        quiet_update(study, data, tensors=certain(study), noise_multiplier=3.0, denominator=20.0)[
            1:
        ]
        for _ in range(400)
    ]
    assert within_chi_square(updates, 3.0 * clip / 20.0)


def test_an_empty_batch_still_steps_with_noise():
    study = protocol(sample_rate=0.001, local_steps=1, learning_rate=1.0)
    updates = [
        quiet_update(study, rows(1), noise_multiplier=2.0, denominator=4.0) for _ in range(300)
    ]
    assert within_chi_square(updates, 0.5)


def test_a_site_without_any_unit_still_steps_with_noise():
    study = protocol(local_steps=2)
    empty = Encoded(
        np.empty((0, FEATURES), np.float32), np.empty(0, np.int64), np.empty(0, np.int64), 0
    )
    update = quiet_update(study, empty, noise_multiplier=1.0, steps=2)
    assert (update != 0).all()


def test_chunks_share_one_draw(monkeypatch):
    monkeypatch.setattr("federation.learning.training._CHUNK_ROWS", 2)
    study = protocol(sample_rate=1.0, local_steps=1, learning_rate=1.0)
    updates = [
        quiet_update(study, zero_gradients(20), tensors=certain(study), noise_multiplier=1.0)[1:]
        for _ in range(300)
    ]
    assert within_chi_square(updates, 1.0)


def test_two_runs_never_share_noise():
    study = protocol(sample_rate=1.0)
    runs = [
        flat(
            train(
                protocol=study,
                tensors=certain(study),
                data=zero_gradients(3),
                noise_multiplier=1.0,
                batch_denominator=1.0,
                step_done=nothing,
            ).tensors
        )
        for _ in range(20)
    ]
    assert len({run.tobytes() for run in runs}) == 20
    assert abs(np.corrcoef(runs)[np.triu_indices(20, 1)].mean()) < 0.5


def test_steps_of_one_run_never_share_noise():
    study = protocol(sample_rate=1.0, learning_rate=1.0)
    once = [
        quiet_update(
            study, zero_gradients(3), tensors=certain(study), noise_multiplier=1.0, steps=4
        )[1:]
        for _ in range(200)
    ]
    assert within_chi_square(once, 2.0)  # four independent draws add up to twice the deviation


def test_the_draws_are_standard_normal():
    draws = gaussian(Keystream(), 200_000)
    assert stats.kstest(draws, "norm").pvalue > 1e-6
    assert np.isfinite(draws).all()


def test_a_long_draw_has_its_length_and_no_repeats():
    draws = gaussian(Keystream(), 2**20 + 7)
    assert len(draws) == 2**20 + 7
    assert len(np.unique(draws)) > 2**20


def test_uniform_numbers_never_touch_zero_or_one(monkeypatch):
    for word in (0, 2**63 - 1, 2**63, 2**64 - 1):
        extreme = np.array([word], dtype=np.uint64)
        monkeypatch.setattr(Keystream, "words", lambda self, count, word=extreme: word)
        (number,) = Keystream().uniform(1)
        assert 0 < number < 1
        assert Keystream().one() == number
        assert np.isfinite(gaussian(Keystream(), 1)).all()


def test_streams_have_keys_of_their_own():
    first, second = Keystream(), Keystream()
    assert not np.array_equal(first.words(8), second.words(8))
    assert not np.array_equal(first.words(8), first.words(8))
