"""What several places cost one privacy unit together: the dearest of them, or all composed.

Under adding or removing one unit, a unit that is at one place only is touched by that place's
releases only: the maximum holds. It is the attestation that nobody is at two places which carries
it; without one, the same unit may have been in all, and everything composes.

Composing bounds places that were chosen without looking at one another: those of one study, sealed
before its first round, or those that filters kept whatever was chosen. Where a later study may have
been planned after an earlier one's results and no filter joins them, the sum is an odometer, which
may be shown, not claimed (arXiv 2602.06756).

Places with δ of their own are judged at one common δ: an ε says nothing about another δ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from accounting.dp.accountants import epsilon
from accounting.dp.claims import Filter, claim, passed
from accounting.dp.currency import renyi
from accounting.dp.events import PrivacyEvent
from accounting.dp.figures import Figure
from accounting.dp.filters import proved


@dataclass(frozen=True)
class Place:
    """One history; `by` where its parameters were chosen on the way.

    `studies` are those that spent it, each of which may have been planned after the others.
    """

    name: str
    unit: str
    events: tuple[PrivacyEvent, ...]
    by: Filter | None = None
    studies: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Across:
    """Both readings of some places at one δ; `dearest` names the one that costs most.

    Where `is_odometer`, `if_not` is the sum so far and bounds nothing.
    """

    dearest: str
    if_disjoint: Figure
    if_not: Figure
    is_odometer: bool = False

    def claimed(self, *, attested_disjoint: bool) -> Figure:
        """The figure that may be claimed; print both in any case.

        Raises ValueError where neither may be.
        """
        if self.is_odometer and not attested_disjoint:
            raise ValueError("the sum so far is an odometer: show it, and claim nothing of it")
        return self.if_disjoint if attested_disjoint else self.if_not


def across(places: Sequence[Place], delta: float) -> Across:
    """Judge the places at `delta` both ways.

    Raises:
        ValueError: no place is given, delta is out of range, or they protect different units.
        Unbounded: an accountant found no finite bound.
    """
    _check(places)
    figures = {place.name: claim(place.events, delta, place.by).claimed for place in places}
    dearest = max(figures, key=lambda name: figures[name].epsilon)
    return Across(dearest, figures[dearest], _composed(places, delta), _is_odometer(places))


def _is_odometer(places: Sequence[Place]) -> bool:
    """Whether one study may have been chosen after another's results, with no filter over them."""
    spent = [place for place in places if place.events]
    studies = {study for place in spent for study in place.studies}
    return len(spent) > 1 and len(studies) > 1 and not all(place.by for place in spent)


def _composed(places: Sequence[Place], delta: float) -> Figure:
    """All places together; by filters as soon as one of them is kept by one.

    A Rényi divergence never falls with its order, so what each filter let pass at its own order
    bounds the lowest of them, too; there divergences add up, and so do those of sealed histories.
    """
    orders = [place.by.order for place in places if place.by and place.events]
    if not orders:
        return epsilon([event for place in places for event in place.events], delta)
    if sum(bool(place.events) for place in places) == 1:
        return next(claim(p.events, delta, p.by).claimed for p in places if p.events)
    lowest = min(orders)
    spent = (
        passed(place.events, place.by) if place.by else renyi(place.events, lowest)
        for place in places
    )
    return proved(sum(spent), delta, lowest)


def _check(places: Sequence[Place]) -> None:
    if not places:
        raise ValueError("no place is given; name at least one, with its events")
    units = sorted({place.unit for place in places})
    if len(units) > 1:
        raise ValueError(
            f"costs per {' and per '.join(units)} cannot be composed: one does not follow from the "
            "other; take the places of one privacy unit"
        )
