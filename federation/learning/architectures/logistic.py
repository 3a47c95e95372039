"""Logistic regression: one linear layer, the architecture that gets furthest on little data."""

from typing import Any

from federation.learning.architectures import Parameters


class LogisticParameters(Parameters):
    """None: the data contract decides the layer's two sizes."""


class Logistic:
    """One weight per encoded feature and class, and one bias per class."""

    name = "logistic"
    title = "Logistic regression"
    description = (
        "One linear layer. It has the fewest parameters, so it needs the least noise, and each "
        "weight can be read. The first choice for tables of up to some thousand rows."
    )
    Parameters: type[Parameters] = LogisticParameters
    presets: dict[str, dict[str, Any]] = {"standard": {}}

    def build(self, nn: Any, inputs: int, outputs: int, parameters: LogisticParameters) -> Any:
        """A linear layer from `inputs` features to `outputs` logits."""
        return nn.Linear(inputs, outputs)


ARCHITECTURE = Logistic()
