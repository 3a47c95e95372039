"""The hardened grade: exact discrete Gaussian draws, integer sums, and a sensitivity that holds."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from federation.learning import discrete_gaussian as module
from federation.learning import grades, training
from federation.learning.discrete_gaussian import discrete_gaussian
from federation.learning.grades.hardened import noise_variance, on_grid
from federation.learning.initial import initial_tensors
from federation.learning.noise import Keystream
from federation.protocol import plans
from tests.learning.builders import nothing, protocol, rows
from tests.learning.stepping import quiet_update


def probabilities(variance, reach):
    weights = np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * variance))
    return weights / weights.sum()


def agrees(draws, variance):
    """Chi-square over the values that are often enough, the rest together."""
    reach = int(8 * math.sqrt(variance)) + 2
    expected = probabilities(variance, reach) * len(draws)
    observed = np.bincount(draws + reach, minlength=2 * reach + 1)
    often = expected >= 5
    rest = [observed[~often].sum()], [expected[~often].sum() + 1e-9]
    found, wanted = np.append(observed[often], rest[0]), np.append(expected[often], rest[1])
    return stats.chisquare(found, wanted * found.sum() / wanted.sum()).pvalue > 1e-6


@pytest.mark.parametrize("variance", [2.0**-20, 0.05, 0.5, 1.0, 2.3, 9.0, 100.0])
def test_draws_follow_the_discrete_gaussian(variance):
    assert agrees(discrete_gaussian(Keystream(), variance, 60_000), variance)


@pytest.mark.parametrize("variance", [0.5, 9.0, 1000.0])
def test_the_exact_decisions_follow_it_too(monkeypatch, variance):
    """A margin so wide that every second decision is made with more bits and digits."""
    monkeypatch.setattr(module, "_RELATIVE", 0.2)
    assert agrees(discrete_gaussian(Keystream(), variance, 4000), variance)


class Words:
    """A keystream of chosen words."""

    def __init__(self, *words):
        self.left = list(words)

    def words(self, count):
        taken, self.left = self.left[:count], self.left[count:]
        return np.array(taken, dtype=np.uint64)


@pytest.mark.parametrize("high", [0, 1, 2, 2**51, 2**52 - 1])
@pytest.mark.parametrize("scale", [1, 3, 2**24 + 1])
def test_quick_and_exact_decisions_are_the_same(high, scale):
    """⌊−t ln U⌋ by float64, and in a hundred digits, at the ends of the range of U."""
    more = [2**63 + 12345, 2**62, 99]
    word = np.array([high << 12], dtype=np.uint64)
    quick = int(module._Exponential(Words(*more), word).floor_times(scale)[0])
    assert quick == module._Refined(Words(*more), high, 52).floor_times(scale)
    if high in (1, 2, 2**51):
        expected = scale * (116 * math.log(2) - math.log((high << 64) + more[0]))
        assert abs(quick - expected) <= 1


def test_a_wide_gaussian_has_its_variance_and_shape():
    draws = discrete_gaussian(Keystream(), 2.0**48, 100_000)
    assert stats.kstest(draws / 2.0**24, "norm").pvalue > 1e-6
    assert len(set(draws.tolist())) > 99_000


@pytest.mark.parametrize("variance", [0.0, -1.0, float("nan"), 2.0**101])
def test_a_variance_out_of_range_is_refused(variance):
    with pytest.raises(ValueError, match="give one from"):
        discrete_gaussian(Keystream(), variance, 1)


@given(st.integers(0, 2**32), st.integers(1, 400), st.floats(-30, 30), st.floats(1e-3, 1e3))
def test_the_grid_never_lengthens_a_gradient(seed, size, exponent, bound):
    units = np.random.default_rng(seed).normal(size=(4, size)) * 10**exponent
    units[3] = bound / math.sqrt(size)  # right on the bound
    steps = on_grid(torch.from_numpy(units), bound).numpy()
    for unit in steps:
        assert sum(int(k) ** 2 for k in unit) <= 2**48  # exactly, in Python's integers
    short = np.linalg.norm(units, axis=1) <= bound * (1 - 1e-11)
    near = np.abs(steps[short] * (bound / 2**24) - units[short])
    assert near.size == 0 or near.max() <= bound / 2**24


@pytest.mark.parametrize("noise_multiplier", [1e-6, 0.3, 1.0, 7.7, 1e3, 1e9])
def test_the_noise_is_never_less_than_priced(noise_multiplier):
    from_ledger = (noise_multiplier * 2**24) ** 2
    assert noise_variance(noise_multiplier) >= from_ledger + 8.9


def test_the_sum_is_the_float_ones_but_for_the_grid():
    model = {"architecture": "mlp", "parameters": {"hidden": [6]}}
    float_study, hardened = (
        protocol(model=model, sample_rate=1.0, noise=noise) for noise in ("float", "hardened")
    )
    data = rows(40)
    assert quiet_update(hardened, data) == pytest.approx(
        quiet_update(float_study, data), rel=1e-4, abs=2e-5
    )


def test_the_release_is_on_the_grid():
    study = protocol(sample_rate=1.0, noise="hardened", max_grad_norm=0.75)
    session_sum = quiet_session(study).sum
    released = session_sum.release(1.0, 1.0).numpy() / (0.75 / 2**24)
    assert (released == np.round(released)).all()
    assert (released != session_sum.release(1.0, 1.0).numpy() / (0.75 / 2**24)).all()


def quiet_session(study):
    return training.prepare(study, initial_tensors(study), rows(5), 1.0, 1.0)


def test_the_ledger_is_told_the_grade_that_ran():
    for noise in grades.names():
        study = protocol(noise=noise)
        (event,) = training.train(
            protocol=study,
            tensors=quiet_session(study).start,
            data=rows(5),
            noise_multiplier=1.0,
            batch_denominator=2.0,
            step_done=nothing,
        ).events
        assert event.noise_grade == grades.get(noise).event
        sealed = plans.seal(study)
        assert plans.round_events(sealed, 1)["train"].noise_grade == event.noise_grade


def test_the_grade_is_part_of_the_digest_only_where_it_was_chosen():
    document = protocol().model_dump(mode="json")
    assert "noise" not in document["training"]
    chosen = protocol(noise="hardened")
    assert chosen.model_dump(mode="json")["training"]["noise"] == "hardened"
    assert chosen.digest != protocol().digest


def test_an_unknown_grade_is_refused_with_the_list():
    with pytest.raises(ValueError, match="choose one of: float, hardened"):
        grades.get("magic")
