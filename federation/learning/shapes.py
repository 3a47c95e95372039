"""What one row must look like for an architecture: a list, a window over time, or an image."""

import math
from enum import StrEnum

Shape = tuple[int, ...]  # of one row: (features,), (steps, features), (channels, height, width)

_AS = {1: "a plain list of features ({0})", 2: "windows of {0} rows with {1} features"}
_WINDOW = (
    "declare data.windows over a series (or one column of kind 'array' with shape = "
    "[steps, features])"
)
_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA: a last side like this is a colour, not a width
_IMAGE = "declare one column of kind 'array' with shape = [channels, height, width], and no other"


class Takes(StrEnum):
    """Which kind of rows an architecture reads."""

    FEATURES = "features, any row laid out flat"
    WINDOWS = "windows over time"
    IMAGES = "images"


def not_a_window(shape: Shape) -> str | None:
    """Why rows of this shape are no windows [steps, features], with what to do; None if they are.

    The text goes on after the architecture's name.
    """
    if len(shape) == 2:
        return None
    return f"reads windows over time, but the data contract gives {_said(shape)}; {_WINDOW}"


def not_an_image(shape: Shape, least: int) -> str | None:
    """The same for images [channels, height, width] of at least `least` pixels a side.

    Images written as [height, width, channels] are told apart by a last side as short as colours.
    """
    if len(shape) != 3:
        return f"reads images, but the data contract gives {_said(shape)}; {_IMAGE}"
    if shape[2] in _CHANNELS and min(shape[:2]) > shape[2]:
        turned = [shape[2], *shape[:2]]
        return (
            f"reads images, and the data contract gives {_said(shape)}; channels come first: "
            f"{turned}, in the contract and in the stored values"
        )
    if min(shape[1:]) < least:
        return (
            f"needs images of at least {least} × {least} pixels, but the data contract gives "
            f"{_said(shape)}; declare a larger size with other_sizes = 'resize'"
        )
    return None


def groups(channels: int) -> int:
    """How many groups GroupNorm makes: at most 16, of at least 4 channels where there are so many.

    Wu and He 2018 (arXiv 1803.08494) found any number about as good; it divides `channels`.
    """
    return math.gcd(16, channels, max(1, channels // 4))


def _said(shape: Shape) -> str:
    if len(shape) in _AS:
        return _AS[len(shape)].format(*shape)
    return f"arrays of {' × '.join(map(str, shape))}"
