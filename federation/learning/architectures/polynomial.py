"""Polynomial network: hidden layers with x² + x, so that it can run on encrypted data."""

import math
from typing import Annotated, Any

from pydantic import Field

from federation.learning.architectures import Parameters
from federation.learning.shapes import Shape, Takes

Width = Annotated[int, Field(ge=1, le=1024)]


class PolynomialParameters(Parameters):
    """Sizes of the hidden layers."""

    hidden: Annotated[list[Width], Field(min_length=1, max_length=3)] = Field(
        default=[16],
        title="Hidden layers",
        description=(
            "Number of units of each hidden layer, first to last. Each layer doubles the degree "
            "of the polynomial, and deepens the computation on encrypted data."
        ),
    )


class Polynomial:
    """Linear layers, and between them x² + x: additions and multiplications alone."""

    name = "polynomial"
    title = "Polynomial network"
    description = (
        "A multi-layer perceptron whose activation is x² + x. Homomorphic encryption can only add "
        "and multiply, so this network can answer on encrypted inputs."
    )
    when = (
        "Tables where predictions shall later be made on encrypted rows. Declare tight bounds: "
        "far from zero its outputs and gradients grow with every layer, and clipping removes "
        "them."
    )
    source = "Gilad-Bachrach et al. 2016 (CryptoNets), proceedings.mlr.press/v48/gilad-bachrach16"
    takes = Takes.FEATURES
    Parameters: type[Parameters] = PolynomialParameters
    presets: dict[str, dict[str, Any]] = {"encrypted inference": {"hidden": [16]}}

    def refuses(self, shape: Shape, parameters: PolynomialParameters) -> str | None:
        """Never."""
        return None

    def layers(self, parameters: PolynomialParameters) -> int:
        """The hidden ones and the output layer."""
        return len(parameters.hidden) + 1

    def build(self, nn: Any, shape: Shape, outputs: int, parameters: PolynomialParameters) -> Any:
        """Linear, x² + x, …, linear; state names are 0.weight, 0.bias, 2.weight, …"""
        quadratic = _quadratic(nn)
        layers: list[Any] = []
        inputs = math.prod(shape)
        for size in parameters.hidden:
            layers += [nn.Linear(inputs, size), quadratic()]
            inputs = size
        return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _quadratic(nn: Any) -> Any:
    """The activation x² + x as a module class, made here because torch is not imported above."""

    class Quadratic(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * x + x

        def slope(self, x: Any) -> Any:
            """The derivative, for the engine's straight pass."""
            return 2 * x + 1

    return Quadratic


ARCHITECTURE = Polynomial()
