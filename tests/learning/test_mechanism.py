"""The mechanism as a whole, for every engine and grade of noise: what issue 4 asks to be shown."""

import numpy as np
import pytest
from scipy import stats

from federation.learning import engines, grades
from federation.protocol.contract import Encoded
from tests.learning.builders import protocol, rows
from tests.learning.stepping import quiet_update
from tests.learning.test_noise import certain, within_chi_square, zero_gradients

EACH = pytest.mark.parametrize(
    ("engine", "noise"), [(e, n) for e in engines.names() for n in grades.names()]
)


@EACH
def test_one_outlier_moves_the_sum_by_at_most_the_clip(engine, noise):
    study = protocol(
        engine=engine, noise=noise, sample_rate=1.0, learning_rate=1.0, max_grad_norm=0.25
    )
    usual = rows(40)
    fewer = Encoded(usual.features[1:], usual.targets[1:], np.arange(39), 39)
    for size in (1e-30, 1.0, 1e6, 1e18, 1e30, np.inf, np.nan):
        wild = usual.features.copy()
        wild[0] *= np.float32(size)
        with_it = quiet_update(study, Encoded(wild, usual.targets, usual.units, 40))
        moved = with_it - quiet_update(study, fewer)
        assert np.linalg.norm(moved) <= 0.25 * (1 + 1e-5)  # weights are float32


@EACH
def test_zero_gradients_leave_noise_of_the_promised_variance(engine, noise):
    study = protocol(
        engine=engine, noise=noise, sample_rate=1.0, learning_rate=1.0, max_grad_norm=0.5
    )
    updates = [
        quiet_update(
            study, zero_gradients(5), tensors=certain(study), noise_multiplier=3.0, denominator=20.0
        )[1:]
        for _ in range(150)
    ]
    assert within_chi_square(updates, 3.0 * 0.5 / 20.0)


@EACH
def test_sites_and_runs_have_noise_of_their_own(engine, noise):
    """Two sites with the same rows: as independent as two runs of one site."""
    study = protocol(engine=engine, noise=noise, sample_rate=1.0, learning_rate=1.0)
    sites = [
        [
            quiet_update(study, zero_gradients(3), tensors=certain(study), noise_multiplier=1.0)[1:]
            for _ in range(150)
        ]
        for _ in range(2)
    ]
    # Whole draws: of single numbers two in some hundreds are alike by chance, as float32 has few.
    assert len({draw.tobytes() for site in sites for draw in site}) == 300
    first, second = (np.concatenate(site) for site in sites)
    assert stats.pearsonr(first, second).pvalue > 1e-6


@pytest.mark.parametrize("noise", grades.names())
def test_memory_does_not_decide_the_sum(noise, monkeypatch):
    """A logical batch in many chunks is one batch, with one draw."""
    study = protocol(
        noise=noise, sample_rate=1.0, model={"architecture": "mlp", "parameters": {"hidden": [8]}}
    )
    data = rows(90)
    whole = quiet_update(study, data)
    monkeypatch.setattr("federation.learning.training._CHUNK_ROWS", 7)
    assert quiet_update(study, data) == pytest.approx(whole, rel=1e-4, abs=1e-5)
