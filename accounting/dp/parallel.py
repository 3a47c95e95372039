"""What several sites cost together: the worst of them, or all composed.

Under adding or removing one unit, a unit that is at one site only is touched by that site's
releases only: the maximum holds. It is the attestation that nobody is at two sites which carries
it; without one, the same unit may have been in all, and everything composes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure


@dataclass(frozen=True)
class Across:
    """Both readings of one set of sites; `worst_site` is the one that costs most."""

    worst_site: str
    if_disjoint: Figure
    if_not: Figure

    def claimed(self, *, attested_disjoint: bool) -> Figure:
        """The figure that may be claimed; print both in any case."""
        return self.if_disjoint if attested_disjoint else self.if_not


def across(
    histories: Mapping[str, Sequence[PrivacyEvent]], delta: float, accountant: str = "pld"
) -> Across:
    """Compose the sites' histories both ways.

    Raises:
        ValueError: no site is given, delta is out of range, or the sites protect different units.
        UnknownAccountant: no such accountant.
        Unbounded: the accountant found no finite bound.
    """
    if not histories:
        raise ValueError("no site is given; name at least one, with its events")
    everything = [event for events in histories.values() for event in events]
    _check_units(everything)
    figures = {site: epsilon(events, delta, accountant) for site, events in histories.items()}
    worst = max(figures, key=lambda site: figures[site].epsilon)
    return Across(worst, figures[worst], epsilon(everything, delta, accountant))


def _check_units(events: Sequence[PrivacyEvent]) -> None:
    units = sorted({event.unit for event in events})
    if len(units) > 1:
        raise ValueError(
            f"costs per {' and per '.join(units)} cannot be composed: one does not follow from the "
            "other; take the sites of one privacy unit"
        )
