"""What a contribution must be before it may touch a model (numpy only, no rows, no torch).

Every fault found here is final for the assignment: the site released something, it stays charged.
"""

import math
from functools import lru_cache

from accounting.dp.events import PrivacyEvent
from federation import phases
from federation.learning import strategies
from federation.models import Round
from federation.protocol import messages
from federation.protocol.document import Protocol
from federation.protocol.tensors import TensorError, Tensors, norm, unpack
from federation.services import blobs
from federation.services.facts import expected_event

FACTOR = 100.0  # honest updates stay more than ten times below the bound
STEEPEST = 10.0  # 1 / (1 − momentum) at the customary 0.9; Adam's normalisation stays below it


class Unfit(Exception):
    """The contribution cannot be used; the message names the fault and no number of the site's."""


def check(
    protocol: Protocol, round_: Round, message: messages.Contribution, model_digest: str
) -> None:
    """Raise Unfit unless event, names, shapes, types, finiteness and size are as they must be."""
    expected = expected_event(protocol, round_, message.phase, message.site)
    if message.events != (expected.to_json(),):
        raise Unfit("the privacy event is not the one that the protocol prescribes")
    if message.journal["sequence"] < 1:
        raise Unfit("the journal of the site has no entry, so nothing was charged there")
    model = strategies.get(protocol.aggregation.strategy).model(_model(model_digest))
    try:
        tensors = unpack(
            blobs.read(message.tensors_digest),
            phases.phase(message.phase).answer(protocol, model),
        )
    except TensorError as error:
        raise Unfit(str(error)) from error
    if message.phase == phases.TRAIN.name and norm(tensors) > largest(protocol, expected, model):
        raise Unfit("the update is far larger than clipping and noise can make it")


def largest(protocol: Protocol, event: PrivacyEvent, model: Tensors) -> float:
    """A generous bound on the L2 norm of an update; only a broken or hostile site passes it.

    A clipped step moves by at most learning_rate · clip · (rows in the batch / denominator), plus
    noise of norm ≈ learning_rate · σ · clip · √d / denominator; momentum and Adam amplify it.
    Adam forgets the scale of gradients: each step moves each weight by about the learning rate.
    """
    training = protocol.training
    size = math.sqrt(sum(array.size for array in model.values()))
    step = training.max_grad_norm * (
        1 + event.noise_multiplier * size / (event.batch_denominator or 1.0)
    )
    if training.optimiser == "adam":
        step = max(step, size)
    gain = 1.0 / (1.0 - training.momentum) if training.optimiser == "momentum" else 1.0
    amplified = max(gain, STEEPEST) if training.optimiser != "sgd" else 1.0
    return FACTOR * training.learning_rate * event.steps * step * amplified


@lru_cache(maxsize=8)
def _model(digest: str) -> Tensors:
    """What was given out; many sites answer about the same."""
    return unpack(blobs.read(digest))
