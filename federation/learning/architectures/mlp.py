"""Multi-layer perceptron: hidden layers with one activation, for tables with interactions."""

from typing import Annotated, Any, Literal

from pydantic import Field

from federation.learning.architectures import Parameters

Width = Annotated[int, Field(ge=1, le=4096)]


class MlpParameters(Parameters):
    """Sizes of the hidden layers, and what stands between them."""

    hidden: Annotated[list[Width], Field(min_length=1, max_length=8)] = Field(
        default=[32],
        title="Hidden layers",
        description="Number of units of each hidden layer, first to last.",
    )
    activation: Literal["tanh", "relu", "quadratic"] = Field(
        default="tanh",
        title="Activation",
        description=(
            "tanh bounds what each unit passes on, which suits clipping (Papernot et al. 2021); "
            "quadratic is a polynomial, for inference on encrypted data."
        ),
    )


class Mlp:
    """Linear layers with an activation after each hidden one."""

    name = "mlp"
    title = "Multi-layer perceptron"
    description = (
        "Hidden layers that can learn interactions between features. More parameters share the "
        "same noise: worth it from some thousand rows per site. With initialisation 'zero' only "
        "the output layer starts at zero; the hidden ones are seeded, or they could never learn."
    )
    Parameters: type[Parameters] = MlpParameters
    presets: dict[str, dict[str, Any]] = {
        "small": {"hidden": [32], "activation": "tanh"},
        "deep": {"hidden": [64, 32], "activation": "tanh"},
        "encrypted inference": {"hidden": [16], "activation": "quadratic"},
    }

    def build(self, nn: Any, inputs: int, outputs: int, parameters: MlpParameters) -> Any:
        """Linear, activation, …, linear; state names are 0.weight, 0.bias, 2.weight, …"""
        activation = {"tanh": nn.Tanh, "relu": nn.ReLU, "quadratic": _quadratic(nn)}
        layers: list[Any] = []
        for size in parameters.hidden:
            layers += [nn.Linear(inputs, size), activation[parameters.activation]()]
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


ARCHITECTURE = Mlp()
