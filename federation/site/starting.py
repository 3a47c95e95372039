"""What a computation starts from: the hub's part of the model, this site's, and the correction."""

from dataclasses import dataclass
from typing import Any

from accounting.dp.events import PrivacyEvent
from federation.learning import architectures, control, strategies
from federation.learning.faults import Untrainable
from federation.protocol.canonical import digest
from federation.protocol.document import Protocol
from federation.protocol.messages import Assignment, Reason
from federation.protocol.tensors import TensorError, Tensors, unpack
from federation.site.entry_points import FIRST_MODEL, TRIAL, load
from federation.site.kept import Kept
from federation.site.phases import TRAINING
from federation.site.refused import Refused
from federation.site.transport.client import RequestRejected
from federation.site.transport.receiving import Receiving


@dataclass(frozen=True)
class Start:
    """The model in its two parts, and what the strategy adds to a round's steps, if anything."""

    shared: Tensors
    own: Tensors
    correction: Tensors

    @property
    def model(self) -> Tensors:
        """The whole model."""
        return self.shared | self.own


class Starting:
    """Fetches the hub's part, and puts to it what stayed here."""

    def __init__(self, receiving: Receiving, kept: Kept) -> None:
        self._receiving = receiving
        self._kept = kept
        self._first: dict[str, Any] = {}
        self._tried = ""

    def of(self, asked: Assignment, protocol: Protocol, event: PrivacyEvent) -> Start:
        """What `asked` starts from, and goes to when it has trained. Raises Refused.

        `event` is what it will cost: settings that cannot train shall cost nothing.
        """
        shared, everybodys = control.parted(self._given(asked, protocol))
        first = self._begins(asked, protocol).kept
        own, ours = control.parted(self._kept.of(asked, first))
        if asked.phase == TRAINING:
            self._try(asked, protocol, event)
            self._kept.probe(asked, first)
        return Start(shared, own, {name: all_ - ours[name] for name, all_ in everybodys.items()})

    def _given(self, asked: Assignment, protocol: Protocol) -> Tensors:
        """The hub's tensors, shaped like the shared part of the protocol's own first model.

        For training with what the strategy gives out beside it.
        """
        try:
            architectures.check(protocol)
            strategies.check(protocol)
            data = self._receiving.model(asked.assignment)
            if digest(data) != asked.model_digest:
                raise Refused(Reason.MODEL_MISMATCH, "the model is not the one that the hub signed")
            first = self._begins(asked, protocol)
            return unpack(data, first.given if asked.phase == TRAINING else first.shared)
        except (architectures.ArchitectureError, strategies.StrategyError, TensorError) as error:
            raise Refused(Reason.MODEL_MISMATCH, str(error)) from error
        except RequestRejected as error:
            raise Refused(Reason.MODEL_MISMATCH, "the hub does not hand the model out") from error

    def _try(self, asked: Assignment, protocol: Protocol, event: PrivacyEvent) -> None:
        """Once for each protocol, for it builds the model and makes a step."""
        if self._tried == asked.protocol_digest:
            return
        try:
            load(TRIAL)(protocol, event.noise_multiplier, event.batch_denominator or 1.0)
        except Untrainable as error:
            raise Refused(Reason.MODEL_MISMATCH, str(error)) from error
        self._tried = asked.protocol_digest

    def _begins(self, asked: Assignment, protocol: Protocol) -> Any:
        """What the protocol's first round starts from, hub and sites."""
        if asked.protocol_digest not in self._first:
            self._first = {asked.protocol_digest: load(FIRST_MODEL)(protocol)}
        return self._first[asked.protocol_digest]
