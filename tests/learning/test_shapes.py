"""What a model reads must be what the data contract gives, or the lead is told what to do."""

import math

import pytest
import torch

from federation.learning import architectures
from federation.learning.architectures import ArchitectureError
from federation.learning.initial import initial_tensors
from federation.learning.modules import load
from federation.learning.shapes import groups
from tests.learning.builders import protocol
from tests.learning.test_architectures import PRESETS, shape_for


def checked(name, shape, **parameters):
    section = {"architecture": name, "parameters": parameters}
    study = protocol(model=section, shape=shape, features=shape[0])
    architectures.check(study)
    return study


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_each_preset_reads_its_own_kind_of_rows(name, preset):
    checked(name, shape_for(name), **architectures.get(name).presets[preset])


@pytest.mark.parametrize("shape", [(4,), (5, 3), (1, 28, 28)])
def test_lists_are_what_everything_can_be_laid_out_to(shape):
    for name in ("logistic", "mlp", "polynomial"):
        checked(name, shape)


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        (
            "cnn",
            (13,),
            "reads images.*plain list of features .13..*shape = .channels, height, width",
        ),
        ("cnn", (5, 3), "reads images.*windows of 5 rows with 3 features"),
        ("cnn", (1, 3, 28), "needs images of at least 4 × 4 pixels.*arrays of 1 × 3 × 28.*resize"),
        ("cnn", (28, 28, 3), r"reads images.*28 × 28 × 3; channels come first: \[3, 28, 28\], in"),
        ("cnn", (28, 32, 4), r"reads images.*channels come first: \[4, 28, 32\]"),
        ("resnet18", (224, 224, 3), r"reads images.*channels come first: \[3, 224, 224\]"),
        ("resnet18", (64, 64, 1), r"reads images.*channels come first: \[1, 64, 64\]"),
        ("lstm", (13,), r"reads windows.*plain list of features .13.; declare data\.windows"),
        ("gru", (3, 28, 28), "reads windows.*arrays of 3 × 28 × 28"),
    ],
)
def test_another_kind_of_rows_is_refused_with_advice(name, shape, says):
    with pytest.raises(ArchitectureError, match=rf"model\.architecture: '{name}' {says}"):
        checked(name, shape)
    with pytest.raises(ArchitectureError, match=r"model\.architecture"):
        initial_tensors(protocol(model={"architecture": name}, shape=shape, features=shape[0]))


def test_small_images_of_many_channels_are_read_as_they_are():
    checked("cnn", (8, 4, 4))
    with pytest.raises(ArchitectureError, match="needs images of at least"):
        checked("cnn", (3, 28, 3))


def test_windows_over_a_series_are_read_step_by_step():
    study = protocol(model={"architecture": "lstm"}, patients=True, features=3)
    windows = {"length": 6, "order": ["day"]}
    document = study.model_dump(mode="json")
    with_windows = type(study).model_validate(
        document | {"data": document["data"] | {"windows": windows}}
    )
    with pytest.raises(ArchitectureError, match="reads windows"):
        architectures.check(study)
    architectures.check(with_windows)
    assert architectures.row_shape(with_windows.data) == (6, 3)
    assert initial_tensors(with_windows)["layer.weight_ih_l0"].shape == (4 * 32, 3)


def test_more_convolutions_want_larger_images():
    checked("cnn", (1, 8, 8), channels=[8, 8, 8])
    with pytest.raises(ArchitectureError, match="at least 16 × 16"):
        checked("cnn", (1, 8, 8), channels=[8, 8, 8, 8])


def test_a_hidden_layer_does_not_grow_with_the_image():
    for side, seen in ((28, 49), (32, 64), (40, 49), (224, 49)):
        tensors = initial_tensors(checked("cnn", (1, side, side)))
        assert tensors["8.weight" if side < 40 else "9.weight"].shape == (64, 32 * seen)


@pytest.mark.parametrize(
    ("shape", "stem"),
    [
        ((1, 28, 28), "large"),
        ((3, 64, 48), "large"),
        ((3, 224, 224), "large"),
        ((1, 16, 28), "small"),
    ],
)
def test_a_resnet_reads_images_of_many_sizes(shape, stem):
    study = checked("resnet18", shape, width=8, stem=stem)
    module = load(study, initial_tensors(study))
    assert module(torch.zeros(2, math.prod(shape))).shape == (2, 1)
    with pytest.raises(ArchitectureError, match="at least 16 × 16"):
        checked("resnet18", (1, 15, 28))


def test_the_published_resnet_has_its_published_size():
    # He et al. 2016; torchvision's resnet18 without its classifier has 11,176,512 weights.
    tensors = initial_tensors(checked("resnet18", (3, 224, 224)))
    head = 512 + 1
    assert sum(array.size for array in tensors.values()) - head == 11_176_512


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8, 9, 10, 16, 24, 30, 64, 128, 512])
def test_groups_divide_the_channels(channels):
    assert channels % groups(channels) == 0
    assert groups(channels) <= 16
    assert groups(channels) == 1 or channels // groups(channels) >= 4
