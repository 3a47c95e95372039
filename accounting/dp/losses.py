"""Discretised privacy losses: of one step of a mechanism, of many steps, of a whole history.

`dp_accounting` discretises ("Connect the Dots", arXiv 2207.04380) and composes; only the
hockey-stick divergence is evaluated here, for all grid points at once instead of one by one in
Python, which makes a new (noise_multiplier, sample_rate) several times cheaper. The tests hold
the result against `dp_accounting` left to itself.
"""

from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np
from dp_accounting.pld import pld_pmf, privacy_loss_mechanism

from accounting.dp import masses
from accounting.dp.sampling import Floats, log_mixed

Step = tuple[float, float, int]  # noise_multiplier, sample_rate, steps
Key = tuple[tuple[Step, ...], float]

_ADD = privacy_loss_mechanism.AdjacencyType.ADD
_REMOVE = privacy_loss_mechanism.AdjacencyType.REMOVE
_KEPT_PREFIXES = 3
_KEPT_LOSSES = 18

_kept: dict[Key, "Loss"] = {}
_keeping = Lock()


@dataclass(frozen=True)
class Loss:
    """The privacy loss under removing and under adding a unit (one object where they agree)."""

    remove: pld_pmf.DensePLDPmf
    add: pld_pmf.DensePLDPmf

    def epsilon(self, delta: float) -> float:
        """The larger ε of the two directions; infinity where there is none."""
        epsilon = masses.epsilon(self.remove, delta)
        return epsilon if self.symmetric else max(epsilon, masses.epsilon(self.add, delta))

    def compose(self, other: "Loss") -> "Loss":
        """The loss of both together."""
        remove = masses.composed(self.remove, other.remove)
        if self.symmetric and other.symmetric:
            return Loss(remove, remove)
        return Loss(remove, masses.composed(self.add, other.add))

    @property
    def symmetric(self) -> bool:
        """Whether adding and removing cost the same, as they do without sampling."""
        return self.add is self.remove


def composed(steps: tuple[Step, ...], interval: float) -> Loss:
    """The loss of all steps together, on a grid of `interval`.

    The last few prefixes are kept: a history that grows at its end costs one composition more,
    not all of them again. Raises OverflowError where the grid would not fit in memory.
    """
    done, loss = _longest_kept(steps, interval)
    for end in range(done + 1, len(steps) + 1):
        noise, rate, count = steps[end - 1]
        last = repeated(noise, rate, count, interval)
        loss = last if loss is None else loss.compose(last)
        if end > len(steps) - _KEPT_PREFIXES:
            _keep((steps[:end], interval), loss)
    if loss is None:
        raise ValueError("an empty history has no loss")
    return loss


def _longest_kept(steps: tuple[Step, ...], interval: float) -> tuple[int, Loss | None]:
    for end in range(len(steps), 0, -1):
        loss = _kept.get((steps[:end], interval))
        if loss is not None:
            return end, loss
    return 0, None


def _keep(key: Key, loss: Loss) -> None:
    with _keeping:
        _kept[key] = loss
        while len(_kept) > _KEPT_LOSSES:
            del _kept[next(iter(_kept))]


def repeated(noise_multiplier: float, sample_rate: float, count: int, interval: float) -> Loss:
    """The loss of `count` equal steps. Raises OverflowError where it would not fit in memory."""
    directions = one_step(noise_multiplier, sample_rate, interval)
    many = [direction.repeated(count) for direction in directions]
    return Loss(many[0], many[-1])


@lru_cache(maxsize=32)
def one_step(
    noise_multiplier: float, sample_rate: float, interval: float
) -> tuple[masses.OneStep, ...]:
    """The loss of one step under removing, then adding, a unit; one for both at sample rate 1."""
    directions = (_REMOVE,) if sample_rate == 1.0 else (_REMOVE, _ADD)
    found = (_mass(noise_multiplier, sample_rate, interval, each) for each in directions)
    return tuple(masses.OneStep.of(mass) for mass in found)


def _mass(
    noise: float, rate: float, interval: float, adjacency: privacy_loss_mechanism.AdjacencyType
) -> pld_pmf.DensePLDPmf:
    loss = privacy_loss_mechanism.GaussianPrivacyLoss(
        noise, sampling_prob=rate, adjacency_type=adjacency
    )
    bounds = loss.connect_dots_bounds()
    lowest = int(np.floor(bounds.epsilon_lower / interval))
    highest = int(np.ceil(bounds.epsilon_upper / interval))
    deltas = divergences(loss, np.arange(lowest, highest + 1, dtype=np.float64) * interval)
    return pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(
        interval, lowest, highest, deltas
    ).to_dense_pmf()


def divergences(loss: privacy_loss_mechanism.GaussianPrivacyLoss, epsilons: Floats) -> Floats:
    """The hockey-stick divergence δ(ε) of a sampled Gaussian mechanism at each of `epsilons`.

    Where sampling cannot cause a loss of ε at all, it is 0 (adding) or 1 − exp(ε) (removing).
    """
    sign, shift = (-1.0, 0.5) if loss.adjacency_type is _ADD else (1.0, -0.5)
    unsampled = sign * log_mixed(1.0 / loss.sampling_prob, sign * epsilons)
    possible = np.isfinite(unsampled)
    cutoffs = shift - unsampled[possible] * loss._standard_deviation**2
    below = np.exp(epsilons[possible] + loss.mu_lower_log_cdf(cutoffs))
    deltas = -np.expm1(np.minimum(epsilons, 0.0))
    deltas[possible] = loss.mu_upper_cdf(cutoffs) - below
    return np.clip(deltas, 0.0, 1.0)
