"""No image is passed over, lies on its side, or is the first page of many without a word."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from federation.protocol.contract import ContractError
from tests.site.sourcing import image, images, lent, read
from tests.site.test_images import COLOURS, GREY, folder, with_labels

ORIENTATION = 274  # the EXIF tag
# How a picture has to be stored to be looked at as it is (EXIF 2.3, 4.6.4 A).
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("ending", ["png", "tiff"])
@pytest.mark.parametrize("orientation", STORED)
def test_an_image_is_read_as_it_is_looked_at(tmp_path: Path, orientation: int, ending: str) -> None:
    (tmp_path / "ill").mkdir()
    picture = Image.fromarray(np.ascontiguousarray(STORED[orientation](COLOURS)))
    tags = picture.getexif()
    tags[ORIENTATION] = orientation
    picture.save(tmp_path / "ill" / f"a.{ending}", exif=tags)
    found = read(folder(tmp_path), images([3, 4, 5])).features[0]
    pixels = np.rint((found + 1) * 127.5).reshape(3, 4, 5).transpose(1, 2, 0)
    assert (pixels == COLOURS).all()


def test_a_photograph_on_its_side_is_turned(tmp_path: Path) -> None:
    (tmp_path / "ill").mkdir()
    picture = Image.fromarray(np.rot90(np.tile(np.uint8([[0], [255]]), (1, 8)).repeat(8, 0)).copy())
    tags = picture.getexif()
    tags[ORIENTATION] = 6
    picture.save(tmp_path / "ill" / "a.jpg", exif=tags, quality=95)
    found = read(folder(tmp_path), images([1, 16, 8])).features[0].reshape(16, 8)
    assert (found[:8] < 0).all()
    assert (found[8:] > 0).all()


def test_several_pages_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ill").mkdir()
    pages = [Image.fromarray(GREY + page) for page in range(3)]
    pages[0].save(tmp_path / "ill" / "a.tiff", save_all=True, append_images=pages[1:])
    with pytest.raises(ContractError, match="column 'image': several pages in one image"):
        read(folder(tmp_path), images([1, 4, 5]))


@pytest.mark.parametrize(
    ("stray", "fault"),
    [
        ("top.png", "an image outside the sub-folders; move it"),
        ("top.JPG", "an image outside the sub-folders; move it"),
        ("ill/jane-doe/a.png", "a folder within a sub-folder; put each image right into"),
    ],
)
def test_no_image_is_passed_over(tmp_path: Path, stray: str, fault: str) -> None:
    image(tmp_path / "ill" / "a.png", GREY)
    image(tmp_path / stray, GREY)
    with pytest.raises(ContractError, match=fault) as caught:
        read(folder(tmp_path), images([1, 4, 5]))
    assert "jane" not in str(caught.value)


@pytest.mark.parametrize("name", [b"scans/ill/caf\xe9.png", b"scans/ill\xe9"])
def test_a_name_that_is_not_utf_8_is_told_without_it(tmp_path: Path, name: bytes) -> None:
    image(tmp_path / "scans" / "ill" / "a.png", GREY)
    old = tmp_path / "scans" / "ill"
    (old / "a.png" if b"." in name else old).rename(tmp_path / os.fsdecode(name))
    with pytest.raises(ContractError, match="a name that is not UTF-8") as caught:
        read(lent({"kind": "images", "folder": str(tmp_path / "scans")}), images([1, 4, 5]))
    assert "caf" not in str(caught.value)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    image(tmp_path / "ill" / "a.png", GREY)
    os.mkfifo(tmp_path / "ill" / "b.png")
    with pytest.raises(ContractError, match="leads to no file"):
        read(folder(tmp_path), images([1, 4, 5]))


def test_what_is_no_image_may_lie_beside_the_sub_folders(tmp_path: Path) -> None:
    image(tmp_path / "ill" / "a.png", GREY)
    image(tmp_path / ".thumbnails" / "a.png", GREY)
    (tmp_path / "readme.txt").write_text("how these were made")
    assert len(read(folder(tmp_path), images([1, 4, 5])).targets) == 1


def test_a_csv_file_may_name_images_at_any_depth(tmp_path: Path) -> None:
    image(tmp_path / "all" / "a.png", GREY)
    image(tmp_path / "all" / "deep" / "b.png", GREY)
    found = read(with_labels(tmp_path, "deep/b.png,well,p\na.png,ill,p\n"), images([1, 4, 5]))
    assert found.targets.tolist() == [1, 0]


def test_a_second_page_that_is_no_image_is_told(tmp_path: Path) -> None:
    """Pillow fails over its missing width in a way of its own, when pages are counted."""
    image(tmp_path / "ill" / "a.tif", GREY)
    pages = [Image.fromarray(GREY)] * 2
    pages[0].save(tmp_path / "ill" / "a.tif", save_all=True, append_images=pages[1:])
    whole = (tmp_path / "ill" / "a.tif").read_bytes()
    width = whole.rindex(b"\x00\x01\x04\x00\x01\x00\x00\x00\x05")  # tag 256, one whole number: 5
    (tmp_path / "ill" / "a.tif").write_bytes(whole[:width] + b"\xff" + whole[width + 1 :])
    with pytest.raises(ContractError, match="column 'image': unreadable image") as caught:
        read(folder(tmp_path), images([1, 4, 5]))
    assert caught.value.__cause__ is None
