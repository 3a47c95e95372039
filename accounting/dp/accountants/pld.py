"""The reference accountant: privacy loss distributions, discretised and composed by FFT.

Every figure of a sealed plan comes from here. It is an upper bound on ε for a history whose
parameters were fixed beforehand (not a filter under full adaptivity, arXiv 2602.06756).
"""

import math
from collections.abc import Sequence
from importlib.metadata import version

from accounting.dp import losses
from accounting.dp.accountants import rdp
from accounting.dp.events import PrivacyEvent, merged
from accounting.dp.figures import Figure, Unbounded, bounded, check_delta

INTERVAL = 1e-4
_MOST_POINTS = 2**21
_NEGLIGIBLE_DELTA = 1e-15


class PldAccountant:
    """`dp_accounting`'s PLD: connect the dots, pessimistic, adding and removing a unit."""

    name = "pld"
    version = f"dp_accounting {version('dp_accounting')} (PLD)"
    discretisation = f"connect the dots, interval {INTERVAL:g} (coarser only where epsilon > 80)"
    error = "an upper bound, one part in 1000 above the truth; more where the sample rate is < 1e-3"

    def epsilon(self, events: Sequence[PrivacyEvent], delta: float) -> Figure:
        """See `Accountant`."""
        check_delta(delta)
        history = merged(events)
        answer = compose(history, delta, interval_for(history)) if history else 0.0
        return Figure(
            bounded(answer, self.name), delta, self.name, self.version, self.discretisation
        )


def interval_for(history: Sequence[PrivacyEvent]) -> float:
    """The grid: INTERVAL, doubled until the losses that can occur fit in memory.

    The Rényi bound at a negligible δ says how far they reach. Doubling starts beyond ε = 80,
    where it adds about one part in ten thousand.
    """
    farthest = float(min(rdp.to_epsilons(rdp.composed(history), _NEGLIGIBLE_DELTA)))
    excess = max(2.0 * farthest / (INTERVAL * _MOST_POINTS), 1.0)
    return INTERVAL * 2.0 ** math.ceil(math.log2(excess))


def compose(history: Sequence[PrivacyEvent], delta: float, interval: float) -> float:
    """ε of a merged, non-empty history on a grid of `interval`. Raises Unbounded."""
    try:
        return losses.composed(_steps(history), interval).epsilon(delta)
    except (ArithmeticError, MemoryError, ValueError) as error:
        raise Unbounded(
            f"the pld accountant could not compose this history ({error}); use more noise or "
            "fewer steps, or ask the rdp accountant for an upper bound"
        ) from error


def _steps(history: Sequence[PrivacyEvent]) -> tuple[losses.Step, ...]:
    """What to compose, the full-batch events last and as one.

    Gaussian releases of noise σ₁, σ₂, … compose exactly to one of (Σ σᵢ⁻²)^(−1/2).
    """
    if any(e.rows_per_unit > 1 for e in history):
        raise ValueError("it has no arithmetic for several rows of one unit")
    sampled = tuple(
        (e.noise_multiplier, e.sample_rate, e.steps) for e in history if e.sample_rate < 1
    )
    precision = math.fsum(e.steps / e.noise_multiplier**2 for e in history if e.sample_rate == 1)
    return (*sampled, (precision**-0.5, 1.0, 1)) if precision else sampled
