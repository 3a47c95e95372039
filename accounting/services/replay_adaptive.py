"""Replaying the choices of adaptive studies: made in time, by their own rule, and then kept to."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from accounting.dp.adaptive import IMPROVED
from accounting.dp.events import PrivacyEvent
from accounting.dp.filters import best_order
from accounting.services.wrong import Wrong

TRAIN = "train"  # the phase whose noise an adaptive study chooses
Sealing = tuple[str, str]  # study, protocol digest


@dataclass
class Choices:
    """The noise chosen so far, and the budgets of the studies as they were sealed."""

    noise: dict[tuple[Sealing, int, int], float] = field(default_factory=dict)
    studies: set[Sealing] = field(default_factory=set)
    limits: dict[Sealing, tuple[float, float]] = field(default_factory=dict)

    def sealed(self, body: dict[str, Any]) -> None:
        """Keep the study's own budget: its filter's order follows from it."""
        limit = body["limit"]
        self.limits[_sealing(body)] = (float(limit["epsilon"]), float(limit["delta"]))

    def propose(self, body: dict[str, Any], *, began: bool) -> None:
        """Take a proposed row; `began`: something was reserved for that round. Raises Wrong."""
        sealing, place = _sealing(body), (body["round"], body["attempt"])
        key = f"{body['study']}//proposed/{place[0]}.{place[1]}/{sealing[1]}"
        if body["idempotency_key"] != key:
            raise Wrong(f"its idempotency key is not {key}")
        if began:
            raise Wrong("it chooses the noise of a round that was reserved before it")
        if (sealing, *place) in self.noise:
            raise Wrong("it chooses the noise of a round a second time")
        noise = _noise(body)
        self.noise[sealing, *place] = noise
        self.studies.add(sealing)
        _check_rule(body)
        limit = self.limits.get(sealing)
        if limit and float(body["filter_order"]) != best_order(*limit):
            raise Wrong(f"it names the order {body['filter_order']}, its study is not filtered at")

    def reserve(self, body: dict[str, Any], event: PrivacyEvent) -> None:
        """A reservation of training must have exactly the noise that was chosen. Raises Wrong."""
        sealing = _sealing(body)
        if body["phase"] != TRAIN or sealing not in self.studies:
            return
        chosen = self.noise.get((sealing, body["round"], body["attempt"]))
        if chosen is None:
            raise Wrong("nobody chose its noise before it, and its study is adaptive")
        if event.noise_multiplier != chosen:
            raise Wrong(f"its noise is {event.noise_multiplier:g}, but {chosen:g} was chosen")


def _sealing(body: dict[str, Any]) -> Sealing:
    return body["study"], body["protocol_digest"]


def _noise(body: dict[str, Any]) -> float:
    """The noise that a row chooses; between the protocol's bounds, where it names them."""
    noise = float(body["noise_multiplier"])
    least, most = (float(body.get(f"{name}_noise", noise)) for name in ("least", "most"))
    if not (isfinite(noise) and 0 < least <= noise <= most):
        raise Wrong(f"it chooses the noise {noise:g}, the protocol allows {least:g} to {most:g}")
    return noise


def _check_rule(body: dict[str, Any]) -> None:
    """The rule must follow from the released values that the row names; see dp/adaptive."""
    values = [float(value) for value in body["values"]]
    rule = "even"
    if len(values) > 1:
        rule = "save" if values[-1] >= max(values[:-1]) + IMPROVED else "spend"
    if body["rule"] not in (rule, "last"):
        raise Wrong(f"it chose by the rule {body['rule']!r}, the values that it names say {rule!r}")
