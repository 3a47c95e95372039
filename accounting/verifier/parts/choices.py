"""Adaptive schedules: a round's noise is chosen before the round, by its rule, and then kept to."""

from __future__ import annotations

import math
from typing import Any

from accounting.verifier.parts.figures import event
from accounting.verifier.parts.reading import Wrong, decimal, pick
from accounting.verifier.parts.renyi import best_order

TRAINING = "train"  # the phase whose noise is chosen
RISEN = 0.01  # by how much a metric must have risen to count as better

Chooser = tuple[str, str]  # study, protocol digest


class Choices:
    """The choices so far, and the studies' own budgets."""

    def __init__(self) -> None:
        self.noise: dict[tuple[Chooser, int, int], float] = {}
        self._choosers: set[Chooser] = set()
        self._limits: dict[Chooser, tuple[float, float]] = {}

    def sealed(self, body: dict[str, Any]) -> None:
        """A plan names the study's budget, from which its filter's order follows."""
        limit = pick(body, "limit", dict)
        self._limits[_chooser(body)] = (decimal(limit, "epsilon"), decimal(limit, "delta"))

    def propose(self, body: dict[str, Any], *, began: bool) -> None:
        """The noise of a round; `began`: it was reserved before. Raises Wrong."""
        chooser = _chooser(body)
        place = (chooser, body["round"], body["attempt"])
        noise, second = decimal(body, "noise_multiplier"), place in self.noise
        self.noise[place] = noise
        self._choosers.add(chooser)
        if began:
            raise Wrong("it chooses the noise of a round that was reserved before it")
        if second:
            raise Wrong("it chooses the noise of a round a second time")
        for name, fits in (("least_noise", float.__le__), ("most_noise", float.__ge__)):
            if name in body and not fits(decimal(body, name), noise):
                raise Wrong(f"it chooses {noise:g}, the protocol's {name} is {body[name]}")
        _check_rule(body)
        limit = self._limits.get(chooser)
        if limit and decimal(body, "filter_order") != best_order(*limit):
            raise Wrong(f"its study is not filtered at the order {body['filter_order']}")

    def reserve(self, body: dict[str, Any]) -> None:
        """A reservation keeps to what was chosen for its round. Raises Wrong."""
        chooser = _chooser(body)
        if body["phase"] != TRAINING or chooser not in self._choosers:
            return
        chosen = self.noise.get((chooser, body["round"], body["attempt"]))
        if chosen is None:
            raise Wrong("nobody chose its noise before it, and its study is adaptive")
        noise = event(pick(body, "event", dict)).price[0]
        if noise != chosen:
            raise Wrong(f"its noise is {noise:g}, but {chosen:g} was chosen")


def _chooser(body: dict[str, Any]) -> Chooser:
    return body["study"], pick(body, "protocol_digest", str)


def _check_rule(body: dict[str, Any]) -> None:
    """What the rule must be after the released values that the row names."""
    values = [float(value) for value in pick(body, "values", list)]
    if not all(math.isfinite(value) for value in values):
        raise Wrong("a released value is no finite number")
    rule = "even"
    if len(values) > 1:
        rule = "save" if values[-1] >= max(values[:-1]) + RISEN else "spend"
    if pick(body, "rule", str) not in (rule, "last"):
        raise Wrong(f"it chose by the rule {body['rule']!r}, its values say {rule!r}")
