"""How large a value can be that leaves: by public numbers alone, for the verdict leaves with it.

Whether the gate lets a value pass is told to the hub, and no noise covers that answer. It must
therefore be a function of the value, which is noised, and of what the hub knows anyway: protocol,
declared size, weights, correction. A bound that knew how many units the site has would tell
whether one person is among them: a hub that sends weights so large that float32 rounds every step
to one ulp decides what the value's norm will be, and so what it is compared with.

What the check is for: a defect of ours. A forgotten clip or denominator makes updates that are
far larger, and these stay here, however many units there are.
"""

import math
from dataclasses import dataclass

import numpy as np

from accounting.dp.events import PrivacyEvent
from federation.protocol import histograms
from federation.protocol.document import Protocol
from federation.protocol.tensors import Tensors, norm

NOISE_TAIL = 10.0  # in standard deviations
# A site may have 50 times as many units as it declared: of a sampled number with mean m, more than
# 2·m + 100 come with chance < exp(−100) (Bernstein's inequality).
SHARE, FEW = 100.0, 100.0
# No step of Adam is longer, in learning rates: (1 − β1) / √((1 − β2)·(1 − β1²/β2)), by Cauchy and
# Schwarz between the two means (Kingma and Ba 2015, arXiv 1412.6980, with their β).
ADAM = 7.3
ROUNDED = 2.0**-23  # float32 rounds by at most half of this, in a step and in the difference


@dataclass(frozen=True)
class Public:
    """What the hub knows of a computation before it begins. Nothing of it was read from rows.

    `shared` is the hub's part of the model, `correction` made of it and of what this site
    released, and `declared` the size that the institution declares in the protocol.
    """

    protocol: Protocol
    shared: Tensors
    event: PrivacyEvent
    correction: Tensors
    declared: int


def largest_update(public: Public) -> float:
    """The L2 norm of the longest update; an honest one passes it with chance < 1e-15.

    Each step moves the weights by the correction's part, the clipped sum and the noise, whose
    length passes noise_multiplier·max_grad_norm·(√d + 10) with chance exp(−50) (Gaussian
    concentration), and is then rounded to float32, by more where the weights are larger.
    """
    # A correction joins each step's gradient, and so grows with momentum as the gradient does.
    far = norm(public.correction) / (1 - _kept(public))
    far += public.event.steps * _largest_step(public)
    reach = far + max(float(np.abs(array).max(initial=0.0)) for array in public.shared.values())
    return far + (public.event.steps + 1) * _length(public.shared) * reach * ROUNDED


def largest_histogram(public: Public) -> float:
    """All units in one cell, plus noise."""
    cells = _length(histograms.empty(public.protocol))
    units = _units(public, public.protocol.evaluation.holdout)
    return units + public.event.noise_multiplier * (cells + NOISE_TAIL)


def _largest_step(public: Public) -> float:
    training, event = public.protocol.training, public.event
    if training.optimiser == "adam":
        return training.learning_rate * ADAM * _length(public.shared)
    denominator = event.batch_denominator or 1.0
    noise = event.noise_multiplier * (_length(public.shared) + NOISE_TAIL)
    gradient = training.max_grad_norm * (_units(public, event.sample_rate) + noise)
    return training.learning_rate * gradient / denominator / (1 - _kept(public))


def _kept(public: Public) -> float:
    """The part of a step that momentum carries into the next."""
    training = public.protocol.training
    return training.momentum if training.optimiser == "momentum" else 0.0


def _units(public: Public, rate: float) -> float:
    """More than a draw of this rate gives, of this site's units and an audit's canaries."""
    return SHARE * rate * (public.declared + public.protocol.canaries) + FEW


def _length(tensors: Tensors) -> float:
    """√d: the norm of as many ones."""
    return math.sqrt(sum(tensor.size for tensor in tensors.values()))
