"""The second opinion: Opacus' numerical composition of privacy loss random variables.

Another discretisation, another code base (Gopi, Lee and Wutschitz 2021, arXiv 2106.02848).
Opacus imports torch, so nothing may import this file; ask `accountants.get("prv")` for it.
"""

import warnings
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from opacus.accountants import PRVAccountant
from opacus.accountants.analysis.prv import PoissonSubsampledGaussianPRV

from accounting.dp.events import PrivacyEvent, merged
from accounting.dp.figures import Figure, Unbounded, bounded, check_delta

EPSILON_ERROR = 0.01
_DELTA_ERROR = 1e-3  # as a part of delta
_MOST_POINTS = 2**23


class PrvAccountant:
    """Opacus' PRV: its certified upper end is the figure, its lower end is `low`."""

    name = "prv"
    version = f"opacus {version('opacus')} (PRV)"
    discretisation = f"epsilon error {EPSILON_ERROR:g}, delta error delta/1000"
    error = (
        f"certified: low and epsilon are {2 * EPSILON_ERROR:g} apart, a little more for small delta"
    )

    def epsilon(self, events: Sequence[PrivacyEvent], delta: float) -> Figure:
        """See `Accountant`."""
        check_delta(delta)
        history = merged(events)
        low, high = _interval(history, delta) if history else (0.0, 0.0)
        return Figure(
            epsilon=bounded(max(high, 0.0), self.name),
            delta=delta,
            accountant=self.name,
            version=self.version,
            discretisation=self.discretisation,
            low=bounded(max(low, 0.0), self.name),
        )


def _interval(history: Sequence[PrivacyEvent], delta: float) -> tuple[float, float]:
    """Certified (low, high) around ε."""
    _check_rows(history)
    opacus = PRVAccountant()
    opacus.history = [
        (e.noise_multiplier / e.rows_per_unit, e.sample_rate, e.steps) for e in history
    ]
    errors = {"eps_error": EPSILON_ERROR, "delta_error": delta * _DELTA_ERROR}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Opacus asks its own RDP how wide a grid to take; a loose answer only widens the grid.
        warnings.simplefilter("ignore")
        try:
            _check_size(opacus, errors)
            loss = opacus._get_dprv(**errors)
            low, _, high = loss.compute_epsilon(delta, errors["delta_error"], EPSILON_ERROR)
        except (ArithmeticError, MemoryError, RuntimeError, ValueError) as error:
            raise Unbounded(
                f"the prv accountant could not bound epsilon ({error}); the pld accountant may"
            ) from error
    return float(low), float(high)


def _check_rows(history: Sequence[PrivacyEvent]) -> None:
    """Several rows are k clips at once on a full batch; on a sample Opacus has no name for it."""
    for event in history:
        if event.rows_per_unit > 1 and event.sample_rate < 1:
            raise Unbounded(
                f"the prv accountant knows no unit with {event.rows_per_unit} rows in a Poisson "
                "sample; ask pld, dp_accounting_pld or rdp, or clip each unit's summed gradient"
            )


def _check_size(opacus: PRVAccountant, errors: dict[str, float]) -> None:
    prvs = [PoissonSubsampledGaussianPRV(rate, noise) for noise, rate, _ in opacus.history]
    size = opacus._get_domain(prvs, [steps for *_, steps in opacus.history], **errors).size
    if size > _MOST_POINTS:
        raise OverflowError(f"it needs a grid of {size} points")
