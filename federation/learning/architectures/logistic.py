"""Logistic regression: one linear layer, the architecture that gets furthest on little data."""

import math
from typing import Any

from federation.learning.architectures import Parameters
from federation.learning.shapes import Shape, Takes


class LogisticParameters(Parameters):
    """None: the data contract decides the layer's two sizes."""


class Logistic:
    """One weight per encoded feature and class, and one bias per class."""

    name = "logistic"
    title = "Logistic regression"
    description = (
        "One linear layer. It has the fewest parameters, so it needs the least noise, and each "
        "weight can be read."
    )
    when = "The first choice for tables of up to some thousand rows a site."
    source = "Cox 1958, doi 10.1111/j.2517-6161.1958.tb00292.x"
    takes = Takes.FEATURES
    Parameters: type[Parameters] = LogisticParameters
    presets: dict[str, dict[str, Any]] = {"standard": {}}

    def refuses(self, shape: Shape, parameters: LogisticParameters) -> str | None:
        """Never."""
        return None

    def layers(self, parameters: LogisticParameters) -> int:
        """The one."""
        return 1

    def build(self, nn: Any, shape: Shape, outputs: int, parameters: LogisticParameters) -> Any:
        """A linear layer from all numbers of a row to the outputs."""
        return nn.Linear(math.prod(shape), outputs)


ARCHITECTURE = Logistic()
