"""A federation simulated in one process, with the product's own engine, sampler, noise and plans.

What a site and the hub do over HTTP is done here by calls: `train` at each site, the protocol's
strategy over the updates, the mean of the last half of the models. ε is not planned but derived
from the events that `train` hands back.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from accounting.dp.accountants import epsilon
from accounting.dp.events import PrivacyEvent
from federation.learning import modules, strategies, training
from federation.learning.averaging import last_half
from federation.learning.initial import initial_tensors
from federation.learning.losses import Loss
from federation.protocol import plans
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors

ACCOUNTANT = "pld"
ORDINARY_STEPS, ORDINARY_BATCH, ORDINARY_RATE = 2000, 64, 1e-3


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


def run(protocol: Protocol, sites: Mapping[str, Encoded], *, part: float = 1.0) -> Outcome:
    """All rounds of a sealed protocol, every site adding `part` of the plan's noise.

    With 0 the same steps and clip, and no noise. `sites` are the rows of some, or all,
    institutions of the protocol's cohort.
    """
    assert protocol.plan is not None
    weights = {name: _weight(protocol, name) for name in sites}
    strategy = strategies.get(protocol.aggregation.strategy)
    models, events = [initial_tensors(protocol)], dict.fromkeys(sites, ())
    for noise in protocol.plan.noise_multipliers:
        updates = {}
        for name, rows in sites.items():
            found = _trained(protocol, models[-1], (name, rows), part * noise)
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


def ordinary(protocol: Protocol, rows: Encoded) -> Tensors:
    """What anybody would train without a thought of privacy: Adam on shuffled batches, no clip.

    The same for every model, and tuned for none: ORDINARY_STEPS steps of ORDINARY_BATCH rows.
    """
    module = modules.load(protocol, initial_tensors(protocol))
    optimiser = torch.optim.Adam(module.parameters(), lr=ORDINARY_RATE)
    loss = Loss.of(protocol.training.class_weights)
    random = np.random.default_rng(protocol.training.seed)
    order = np.empty(0, dtype=np.int64)
    for _ in range(ORDINARY_STEPS):
        if len(order) < ORDINARY_BATCH:
            order = np.concatenate([order, random.permutation(len(rows.targets))])
        batch, order = order[:ORDINARY_BATCH], order[ORDINARY_BATCH:]
        optimiser.zero_grad()
        logits = module(torch.from_numpy(rows.features[batch]))
        (loss(logits, torch.from_numpy(rows.targets[batch])) / ORDINARY_BATCH).backward()
        optimiser.step()
    return modules.weights(module)
