"""Small convolutional network: a few convolutions and one hidden layer, for small images."""

from typing import Annotated, Any, Literal

from pydantic import Field

from federation.learning.architectures import Parameters
from federation.learning.shapes import Shape, Takes, groups, not_an_image

Width = Annotated[int, Field(ge=8, le=256, multiple_of=8)]
LARGEST_MAP = 8  # pixels a side that the hidden layer sees; larger maps are averaged to 7


class CnnParameters(Parameters):
    """The convolutions, the hidden layer, and what stands between them."""

    channels: Annotated[list[Width], Field(min_length=1, max_length=5)] = Field(
        default=[16, 32],
        title="Channels",
        description=(
            "Of each 3 × 3 convolution, first to last, in multiples of 8. Each halves height and "
            "width."
        ),
    )
    hidden: Annotated[int, Field(ge=0, le=1024)] = Field(
        default=64,
        title="Hidden layer",
        description="Units between the convolutions and the output; 0: none.",
    )
    activation: Literal["tanh", "relu"] = Field(
        default="tanh",
        title="Activation",
        description="tanh bounds what each unit passes on, which suits clipping; relu does not.",
    )
    normalisation: Literal["none", "group"] = Field(
        default="none",
        title="Normalisation",
        description="group: GroupNorm after each convolution, within each image alone.",
    )


class Cnn:
    """Convolution, activation, pooling, some times; then one or two linear layers."""

    name = "cnn"
    title = "Small CNN"
    description = (
        "3 × 3 convolutions, each followed by pooling that halves the image, and one hidden "
        "layer. Some ten thousand to a hundred thousand weights."
    )
    when = (
        "Small images (28 × 28 to 64 × 64), such as skin lesions, from about a thousand images a "
        "site. Try it before a deeper network: fewer weights, less noise."
    )
    source = (
        "LeCun et al. 1998, doi 10.1109/5.726791; tanh under clipping: Papernot et al. 2021, "
        "arXiv 2007.14191"
    )
    takes = Takes.IMAGES
    Parameters: type[Parameters] = CnnParameters
    presets: dict[str, dict[str, Any]] = {
        "small": {"channels": [8, 16], "hidden": 0},
        "skin lesions": {"channels": [16, 32], "hidden": 64, "activation": "relu"},
    }

    def refuses(self, shape: Shape, parameters: CnnParameters) -> str | None:
        """Whatever is no image, or would be halved to nothing."""
        return not_an_image(shape, 2 ** len(parameters.channels))

    def layers(self, parameters: CnnParameters) -> int:
        """Convolutions, their norms, the hidden layer if any, and the output layer."""
        normed = parameters.normalisation == "group"
        return len(parameters.channels) * (1 + normed) + bool(parameters.hidden) + 1

    def build(self, nn: Any, shape: Shape, outputs: int, parameters: CnnParameters) -> Any:
        """One chain, from flat rows on."""
        activation = {"tanh": nn.Tanh, "relu": nn.ReLU}[parameters.activation]
        inputs, *sides = shape
        layers = [nn.Unflatten(1, shape)]
        for size in parameters.channels:
            layers += [nn.Conv2d(inputs, size, 3, padding=1)]
            if parameters.normalisation == "group":
                layers += [nn.GroupNorm(groups(size), size)]
            layers += [activation(), nn.MaxPool2d(2)]
            inputs, sides = size, [side // 2 for side in sides]
        if max(sides) > LARGEST_MAP:
            sides = [min(side, LARGEST_MAP - 1) for side in sides]
            layers += [nn.AdaptiveAvgPool2d(tuple(sides))]
        layers += [nn.Flatten()]
        inputs *= sides[0] * sides[1]
        if parameters.hidden:
            layers += [nn.Linear(inputs, parameters.hidden), activation()]
            inputs = parameters.hidden
        return nn.Sequential(*layers, nn.Linear(inputs, outputs))


ARCHITECTURE = Cnn()
