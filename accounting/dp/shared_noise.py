"""What a release costs when secure aggregation shows only the sum, and the sites share the noise.

Every site adds a part of the noise, so the sum carries more than any one site added. How much of
it protects a unit depends on who looks: an outsider knows nobody's part, a hub that works with c
sites can subtract theirs. If secure aggregation fails, the site's own part is all there is.
ACCOUNTING section 6; Kairouz, Liu and Steinke 2021 (arXiv 2102.06387) for the grid.

It needs synchronous steps (one secure sum for each step of DP-SGD) at one common sample rate: each
event here is one site's own, and all sites record the same one.
"""

import math
from dataclasses import dataclass, replace

from accounting.dp.events import PrivacyEvent

LEAST_CELLS = 4.0
"""A site's noise in cells of the grid. From here on the sum of discrete Gaussians is a discrete
Gaussian to one part in 1e60 (theorem 11 there), and nothing has to be added for the difference."""


@dataclass(frozen=True)
class Cohort:
    """Who adds noise, and who may be missing or in league with the hub, at the very most.

    Raises ValueError where no honest noise would be left.
    """

    sites: int
    dropped: int = 0
    colluding: int = 0

    def __post_init__(self) -> None:
        """Refuse counts that leave nobody's noise."""
        if min(self.dropped, self.colluding) < 0 or self.against_hub < 1:
            raise ValueError(
                f"of {self.sites} sites {self.dropped} may drop out and {self.colluding} collude: "
                "nobody's noise is left; take more sites, or abort with fewer survivors"
            )

    @property
    def against_outsiders(self) -> int:
        """How many sites' noise protects against those who see the sum only."""
        return self.sites - self.dropped

    @property
    def against_hub(self) -> int:
        """How many sites' noise protects against the hub and its colluding sites."""
        return self.sites - self.dropped - self.colluding


@dataclass(frozen=True)
class Costs:
    """One site's event as three onlookers pay for it; compose each line by itself."""

    outsiders: PrivacyEvent
    hub: PrivacyEvent
    alone: PrivacyEvent


def costs(event: PrivacyEvent, cohort: Cohort) -> Costs:
    """What `event`, with the noise that one site adds, costs towards each onlooker.

    Survivors below the cohort's fewest must abort the round; it is charged nevertheless.
    """
    return Costs(
        outsiders=_with_noise_of(event, cohort.against_outsiders),
        hub=_with_noise_of(event, cohort.against_hub),
        alone=event,
    )


def site_noise(noise_multiplier: float, cohort: Cohort) -> float:
    """What each site must add for the sum to have `noise_multiplier` even against the hub."""
    return noise_multiplier / math.sqrt(cohort.against_hub)


def on_grid(event: PrivacyEvent, cell: float, dimensions: int) -> PrivacyEvent:
    """The event after rounding to whole cells, as secure aggregation needs it.

    `cell` is a cell's width in clips (multiples of max_grad_norm), `dimensions` the number of
    coordinates. Rounding moves each by less than a cell, so a clipped contribution may grow to
    1 + cell · √dimensions clips; the noise is worth less by that. Wrapping around afterwards is
    a function of the sum and costs nothing.

    Raises ValueError where the noise is narrower than LEAST_CELLS cells.
    """
    if not cell > 0 or dimensions < 1:
        raise ValueError(f"cell is {cell!r}, dimensions {dimensions!r}; give positive numbers")
    if event.noise_multiplier < LEAST_CELLS * cell:
        raise ValueError(
            f"the noise spans {event.noise_multiplier / cell:.2g} cells; use a cell of at most "
            f"{event.noise_multiplier / LEAST_CELLS:.3g} clips"
        )
    growth = 1.0 + cell * math.sqrt(dimensions)
    return replace(event, noise_multiplier=event.noise_multiplier / growth)


def _with_noise_of(event: PrivacyEvent, honest: int) -> PrivacyEvent:
    """Independent Gaussians of `honest` sites add up to one √honest times as wide."""
    return replace(event, noise_multiplier=event.noise_multiplier * math.sqrt(honest))
