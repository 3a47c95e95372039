"""Multi-layer perceptron: hidden layers with one activation, for tables with interactions."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from federation.learning.architectures import Parameters
from federation.learning.shapes import Shape, Takes

Width = Annotated[int, Field(ge=1, le=4096)]


class MlpParameters(Parameters):
    """Sizes of the hidden layers, and what stands between them."""

    hidden: Annotated[list[Width], Field(min_length=1, max_length=8)] = Field(
        default=[32],
        title="Hidden layers",
        description="Number of units of each hidden layer, first to last.",
    )
    activation: Literal["tanh", "relu"] = Field(
        default="tanh",
        title="Activation",
        description="tanh bounds what each unit passes on, which suits clipping; relu does not.",
    )


class Mlp:
    """Linear layers with an activation after each hidden one."""

    name = "mlp"
    title = "Multi-layer perceptron"
    description = (
        "Hidden layers that can learn interactions between features. With initialisation 'zero' "
        "only the output layer starts at zero; the hidden ones are seeded, or they could never "
        "learn."
    )
    when = (
        "Tables with interactions, from some thousand rows a site: more parameters share the same "
        "noise."
    )
    source = (
        "Rumelhart, Hinton and Williams 1986, doi 10.1038/323533a0; tanh under clipping: Papernot "
        "et al. 2021, arXiv 2007.14191"
    )
    takes = Takes.FEATURES
    Parameters: type[Parameters] = MlpParameters
    presets: dict[str, dict[str, Any]] = {
        "small": {"hidden": [32], "activation": "tanh"},
        "deep": {"hidden": [64, 32], "activation": "tanh"},
        "flu predictor": {"hidden": [32], "activation": "relu"},
        "diagnosis": {"hidden": [50], "activation": "relu"},
        "fraud": {"hidden": [32, 16], "activation": "tanh"},
    }

    def refuses(self, shape: Shape, parameters: MlpParameters) -> str | None:
        """Never."""
        return None

    def layers(self, parameters: MlpParameters) -> int:
        """The hidden ones and the output layer."""
        return len(parameters.hidden) + 1

    def build(self, nn: Any, shape: Shape, outputs: int, parameters: MlpParameters) -> Any:
        """Linear, activation, …, linear; state names are 0.weight, 0.bias, 2.weight, …"""
        activation = {"tanh": nn.Tanh, "relu": nn.ReLU}
        layers: list[Any] = []
        inputs = math.prod(shape)
        for size in parameters.hidden:
            layers += [nn.Linear(inputs, size), activation[parameters.activation]()]
            inputs = size
        return nn.Sequential(*layers, nn.Linear(inputs, outputs))


ARCHITECTURE = Mlp()
