"""A federation simulated in one process, with the product's own engine, sampler, noise and plans.

What a site and the hub do over HTTP is done here by calls: `train` at each site, the protocol's
strategy over the updates, the mean of the last half of the models. ε is not planned but derived
from the events that `train` hands back.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from federation.learning import strategies, training
from federation.learning.averaging import last_half
from federation.learning.initial import initial_tensors
from federation.protocol import plans
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors

ACCOUNTANT = "pld"


@dataclass(frozen=True)
class Outcome:
    """The model that the hub would publish, and what the dearest site did for it."""

    model: Tensors
    events: Mapping[str, tuple[PrivacyEvent, ...]]

    def spent(self, delta: float) -> float:
        """The largest ε of a site at `delta`, by ACCOUNTANT; infinity where no noise was added.

        The largest is the whole: no person is at two of these sites.
        """
        if not all(self.events.values()):
            return math.inf
        figures = [epsilon(events, delta, ACCOUNTANT) for events in self.events.values()]
        return max(figure.epsilon for figure in figures)


def run(protocol: Protocol, sites: Mapping[str, Encoded], *, private: bool) -> Outcome:
    """All rounds of a sealed protocol. Without `private` the same steps and clip, and no noise.

    `sites` are the rows of some, or all, institutions of the protocol's cohort.
    """
    assert protocol.plan is not None
    weights = {name: _weight(protocol, name) for name in sites}
    strategy = strategies.get(protocol.aggregation.strategy)
    models, events = [initial_tensors(protocol)], dict.fromkeys(sites, ())
    for noise in protocol.plan.noise_multipliers:
        updates = {}
        for name, rows in sites.items():
            found = _trained(protocol, models[-1], (name, rows), noise if private else 0.0)
            updates[name], events[name] = found[0], (*events[name], *found[1])
        models.append(strategy.aggregate(models[-1], updates, weights))
    averaged = protocol.training.iterate_averaging == "last_half"
    return Outcome(last_half(models[1:]) if averaged else models[-1], events)


def together(parts: list[Encoded]) -> Encoded:
    """Everybody's rows as if one party held them."""
    firsts = np.cumsum([0, *(part.n_units for part in parts)])
    return Encoded(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.units + first for part, first in zip(parts, firsts, strict=False)]),
        int(firsts[-1]),
    )


def _weight(protocol: Protocol, institution: str) -> float:
    declared = protocol.aggregation.weights == "declared"
    return float(protocol.member(institution).cohort_size) if declared else 1.0


def _trained(
    protocol: Protocol, model: Tensors, site: tuple[str, Encoded], noise: float
) -> tuple[Tensors, tuple[PrivacyEvent, ...]]:
    """One site's round: its update, and the events it cost (none without noise)."""
    name, rows = site
    denominator = plans.batch_denominator(protocol, name)
    if noise > 0:
        done = training.train(
            protocol=protocol,
            tensors=model,
            data=rows,
            noise_multiplier=noise,
            batch_denominator=denominator,
            step_done=lambda _: None,
        )
        return done.tensors, done.events
    # `train` refuses to go without noise, as it should: nothing may leave a site so.
    session = training.prepare(protocol, model, rows, 0.0, denominator)
    for _ in range(protocol.training.local_steps):
        session.step()
    return session.update(), ()
