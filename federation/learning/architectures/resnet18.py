"""ResNet-18 with GroupNorm instead of BatchNorm, for X-rays and other large images."""

from typing import Annotated, Any, Literal

from pydantic import Field

from federation.learning.architectures import Parameters
from federation.learning.shapes import Shape, Takes, groups, not_an_image

LEAST_SIDE = 16  # pixels; at 28 the last of the four stages sees one pixel of each channel


class ResnetParameters(Parameters):
    """How wide the network is, and how it begins."""

    width: Annotated[int, Field(ge=8, le=64, multiple_of=8)] = Field(
        default=64,
        title="Width",
        description=(
            "Channels of the first stage, a multiple of 8; the others have twice, four and eight "
            "times as many. 64 is the published network with 11 million weights, 16 has 0.7 "
            "million, and a quarter of the noise's length."
        ),
    )
    stem: Literal["large", "small"] = Field(
        default="large",
        title="Stem",
        description=(
            "large: a 7 × 7 convolution and pooling that quarter the image first, as published. "
            "small: a 3 × 3 convolution at full size, better below 64 × 64 pixels and up to 16 "
            "times slower."
        ),
    )


class Resnet18:
    """Seventeen convolutions with shortcuts, GroupNorm, and one linear layer."""

    name = "resnet18"
    title = "ResNet-18"
    description = (
        "Four stages of two residual blocks, with GroupNorm within each image, because BatchNorm "
        "mixes examples and has no privacy."
    )
    when = (
        "Images up to 224 × 224, such as chest X-rays, from many thousand images a site, and "
        "large batches. With fewer images, or ε near 1, the small CNN or a narrow ResNet is "
        "better."
    )
    source = (
        "He et al. 2016, arXiv 1512.03385; GroupNorm: Wu and He 2018, arXiv 1803.08494; under "
        "privacy: De et al. 2022, arXiv 2204.13650"
    )
    takes = Takes.IMAGES
    Parameters: type[Parameters] = ResnetParameters
    presets: dict[str, dict[str, Any]] = {
        "chest X-rays": {"width": 64, "stem": "large"},
        "small X-rays": {"width": 16, "stem": "small"},
    }

    def refuses(self, shape: Shape, parameters: ResnetParameters) -> str | None:
        """Whatever is no image of at least 16 × 16 pixels; any number of channels will do."""
        return not_an_image(shape, LEAST_SIDE)

    def layers(self, parameters: ResnetParameters) -> int:
        """20 convolutions, each with its norm, and the output layer."""
        return 41

    def build(self, nn: Any, shape: Shape, outputs: int, parameters: ResnetParameters) -> Any:
        """One chain, from flat rows on; state names are 1.weight, …, 5.first.weight, …"""
        block = _block(nn)
        width = parameters.width
        layers = [nn.Unflatten(1, shape), *_stem(nn, shape[0], parameters)]
        inputs = width
        for factor, stride in ((1, 1), (2, 2), (4, 2), (8, 2)):
            layers += [block(inputs, factor * width, stride), block(factor * width, factor * width)]
            inputs = factor * width
        return nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, outputs)
        )


def _stem(nn: Any, channels: int, parameters: ResnetParameters) -> list[Any]:
    width = parameters.width
    after = [nn.GroupNorm(groups(width), width), nn.ReLU()]
    if parameters.stem == "small":
        return [nn.Conv2d(channels, width, 3, padding=1, bias=False), *after]
    first = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
    return [first, *after, nn.MaxPool2d(3, 2, 1)]


def _block(nn: Any) -> Any:
    """The basic block as a module class, made here because torch is not imported above."""
    relu = nn.functional.relu

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
            super().__init__()
            self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
            self.first_norm = nn.GroupNorm(groups(outputs), outputs)
            self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.second_norm = nn.GroupNorm(groups(outputs), outputs)
            self.shortcut = nn.Sequential()
            if stride > 1 or inputs != outputs:
                convolution = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
                self.shortcut = nn.Sequential(convolution, nn.GroupNorm(groups(outputs), outputs))

        def forward(self, x: Any) -> Any:
            y = relu(self.first_norm(self.first(x)))
            return relu(self.second_norm(self.second(y)) + self.shortcut(x))

    return Block


ARCHITECTURE = Resnet18()
