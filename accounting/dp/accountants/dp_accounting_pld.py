"""Google's accountant left to itself: the reference that `pld` is held against, and a choice.

Slower by one to two orders of magnitude and without a lower end; another code base.
"""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant

from accounting.dp.accountants import rdp
from accounting.dp.events import PrivacyEvent, merged
from accounting.dp.figures import Figure, Unbounded, bounded, check_delta
from accounting.dp.sampling import log_binomial

INTERVAL = 1e-4
_MOST_POINTS = 2**21
_NEGLIGIBLE_DELTA = 1e-15


class DpAccountingPldAccountant:
    """`dp_accounting`'s PLDAccountant at its own defaults: connect the dots, pessimistic."""

    name = "dp_accounting_pld"
    version = f"dp_accounting {version('dp_accounting')} (PLD)"
    discretisation = f"connect the dots, interval {INTERVAL:g}"
    error = "an upper bound, 1e-4 above the truth; 5 % at sample rate 1e-4, twice it at 1e-5"

    def epsilon(self, events: Sequence[PrivacyEvent], delta: float) -> Figure:
        """See `Accountant`."""
        check_delta(delta)
        history = merged(events)
        answer = _composed(history, delta) if history else 0.0
        return Figure(
            bounded(answer, self.name), delta, self.name, self.version, self.discretisation
        )


def _composed(history: Sequence[PrivacyEvent], delta: float) -> float:
    _check_size(history)
    accountant = PLDAccountant(value_discretization_interval=INTERVAL)
    try:
        with np.errstate(all="ignore"):
            for event in history:
                accountant.compose(_event(event), event.steps)
            return float(accountant.get_epsilon(delta))
    except (ArithmeticError, MemoryError, ValueError) as error:
        raise Unbounded(
            f"the dp_accounting_pld accountant could not compose this history ({error}); use "
            "more noise or fewer steps, or ask the rdp accountant for an upper bound"
        ) from error


def _check_size(history: Sequence[PrivacyEvent]) -> None:
    """Refuse large losses, which take all memory; the Rényi bound says how far they reach."""
    farthest = float(min(rdp.to_epsilons(rdp.composed(history), _NEGLIGIBLE_DELTA)))
    if 2.0 * farthest > INTERVAL * _MOST_POINTS:
        raise Unbounded(
            f"the dp_accounting_pld accountant would need a grid of {2 * farthest / INTERVAL:.0f} "
            "points; ask the pld or the rdp accountant"
        )


def _event(event: PrivacyEvent) -> dp_event.DpEvent:
    """One step, as the library names it."""
    noise, rate, rows = event.noise_multiplier, event.sample_rate, event.rows_per_unit
    if rate == 1.0:
        return dp_event.GaussianDpEvent(noise / rows)
    if rows == 1:
        return dp_event.PoissonSampledDpEvent(rate, dp_event.GaussianDpEvent(noise))
    weights = np.exp(log_binomial(rows, rate))
    return dp_event.MixtureOfGaussiansDpEvent(
        noise, list(range(rows + 1)), list(weights / weights.sum())
    )
