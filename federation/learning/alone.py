"""A study's protocol on one site's rows alone, and how good its models are there, without a price.

Figures made here read private rows and carry no noise of their own: they are for the people of
the site, and no part of a site that sends ever sees them.
"""

from collections.abc import Callable, Iterator

import numpy as np

from federation.learning import averaging, devices, metrics
from federation.learning.evaluation import chunk_rows, judged, predict
from federation.learning.initial import initial_tensors
from federation.learning.memory import CHUNK_BYTES
from federation.learning.modules import weights
from federation.learning.training import prepare
from federation.protocol.contract import Encoded
from federation.protocol.document import Protocol
from federation.protocol.machines import own
from federation.protocol.plans import TRAIN, round_events
from federation.protocol.stored import Stored
from federation.protocol.tensors import Tensors

_MOST_ROWS = 2_000_000  # that a model is measured on; more would change no digit that is shown


def trained_alone(
    protocol: Protocol,
    institution: str,
    data: Encoded | Stored,
    *,
    noised: bool,
    round_done: Callable[[int], None],
    device: devices.Device = devices.AUTO,
    chunk_bytes: int = CHUNK_BYTES,
) -> Tensors:
    """The reported model after all rounds of the protocol with nobody else in them.

    The same steps, sampling, clip and denominator; the sealed noise, or none. All layers are
    trained here, personalised ones included. Raises NotSealed without a plan, KeyError for an
    institution outside the cohort, and DeviceAbsent.
    """
    protocol = own(protocol, institution)
    model = initial_tensors(protocol)
    rounds = protocol.rounds.count
    last: list[Tensors] = []
    for number in range(1, rounds + 1):
        event = round_events(protocol, number, institution)[TRAIN]
        noise = event.noise_multiplier if noised else 0.0
        denominator = event.batch_denominator or 1.0
        session = prepare(protocol, model, data, noise, denominator, device=device)
        session.chunk_bytes = chunk_bytes
        for _ in range(event.steps):
            session.step()
        model = weights(session.module)
        last = [*last, model][-averaging.window(rounds) :]
        round_done(number)
    averaged = protocol.training.iterate_averaging == "last_half"
    return averaging.last_half([model] * (rounds - len(last)) + last) if averaged else model


def measured(
    protocol: Protocol,
    tensors: Tensors,
    data: Encoded | Stored,
    device: devices.Device = devices.AUTO,
    chunk_bytes: int = CHUNK_BYTES,
) -> metrics.Metrics:
    """`evaluation.judged` for a whole model on these rows, or on the first two million of them.

    Raises DeviceAbsent.
    """
    found = [
        predict(
            protocol=protocol,
            tensors=tensors,
            features=data.features[piece],
            device=device,
            chunk_bytes=chunk_bytes,
        )
        for piece in [slice(0), *_pieces(data, chunk_rows(protocol))]
    ]
    seen = sum(len(part) for part in found)
    return judged(protocol, np.concatenate(found), data.targets[:seen])


def _pieces(data: Encoded | Stored, rows: int) -> Iterator[slice]:
    count = min(len(data.targets), _MOST_ROWS)
    for first in range(0, count, rows):
        yield slice(first, min(count, first + rows))
