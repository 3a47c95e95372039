"""Folders of images: labels by folder or by file, declared sizes, and nothing harmful decoded."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from federation.protocol.contract import ContractError
from federation.protocol.document import DataContract
from federation.site.config import Dataset
from federation.site.sources.images import MOST_PIXELS
from tests.site.sourcing import image, images, lent, read

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5) * 12
COLOURS = np.arange(60, dtype=np.uint8).reshape(4, 5, 3) * 4


def folder(path: Path, **source: object) -> Dataset:
    return lent({"kind": "images", "folder": str(path), **source})


def test_sub_folders_are_labels(tmp_path: Path) -> None:
    image(tmp_path / "well" / "a.png", GREY)
    image(tmp_path / "ill" / "b.bmp", 255 - GREY)
    image(tmp_path / "ill" / "a.tiff", GREY)
    found = read(folder(tmp_path), images([1, 4, 5]))
    assert found.targets.tolist() == [0, 0, 1]
    expected = GREY.reshape(-1) / 127.5 - 1
    assert np.allclose(found.features, [expected, -expected, expected], atol=1e-6)


def test_colours_stand_channels_first_and_jpeg_is_read(tmp_path: Path) -> None:
    image(tmp_path / "ill" / "a.png", COLOURS)
    image(tmp_path / "well" / "b.jpg", COLOURS)
    found = read(folder(tmp_path), images([3, 4, 5]))
    assert np.allclose(found.features[0].reshape(3, 4, 5)[2], COLOURS[:, :, 2] / 127.5 - 1)
    assert found.features.shape == (2, 60)


def test_grey_and_colour_are_turned_into_what_is_declared(tmp_path: Path) -> None:
    image(tmp_path / "ill" / "a.png", GREY)
    found = read(folder(tmp_path), images([3, 4, 5]))
    assert np.allclose(found.features[0].reshape(3, -1), GREY.reshape(-1) / 127.5 - 1)


def with_labels(path: Path, rows: str) -> Dataset:
    (path / "labels.csv").write_text("file,label,who\n" + rows)
    return folder(path / "all", labels=str(path / "labels.csv"))


def by_patient(shape: list[int]) -> DataContract:
    patient = {"unit": "patient", "patient_column": "who", "max_rows_per_patient": 9}
    return images(shape, **patient)


def test_a_csv_file_says_label_and_patient(tmp_path: Path) -> None:
    image(tmp_path / "all" / "a.png", GREY)
    image(tmp_path / "all" / "deep" / "b.png", GREY)
    found = read(with_labels(tmp_path, "deep/b.png,well,p\na.png,ill,p\n"), by_patient([1, 4, 5]))
    assert found.targets.tolist() == [1, 0]
    assert found.units is not None
    assert found.units[0] == found.units[1]


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "deep/../../a.png"])
def test_a_label_cannot_point_out_of_the_folder(tmp_path: Path, name: str) -> None:
    image(tmp_path / "a.png", GREY)
    image(tmp_path / "all" / "a.png", GREY)
    with pytest.raises(ContractError, match="a file outside the folder"):
        read(with_labels(tmp_path, f"{name},ill,p\n"), by_patient([1, 4, 5]))


def test_patients_need_a_file_of_labels(tmp_path: Path) -> None:
    image(tmp_path / "ill" / "a.png", GREY)
    with pytest.raises(ContractError, match="labels missing"):
        read(folder(tmp_path), by_patient([1, 4, 5]))


def test_another_size_is_refused_or_scaled_as_declared(tmp_path: Path) -> None:
    image(tmp_path / "ill" / "a.png", np.full((40, 50), 255, np.uint8))
    with pytest.raises(ContractError, match="column 'image': another size"):
        read(folder(tmp_path), images([1, 4, 5]))
    found = read(folder(tmp_path), images([1, 4, 5], column={"other_sizes": "resize"}))
    assert found.features.tolist() == [[1.0] * 20]


def png(width: int, height: int) -> bytes:
    """A tiny file that claims to be a huge image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8193, 8192), (9500, 9500), (20_000, 20_000), (60_000, 60_000)])
def test_decompression_bombs_are_not_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    assert size[0] * size[1] > MOST_PIXELS
    (tmp_path / "ill").mkdir()
    (tmp_path / "ill" / "bomb.png").write_bytes(png(*size))
    with pytest.raises(ContractError, match="image too large"):
        read(folder(tmp_path), images([1, 4, 5], column={"other_sizes": "resize"}))


@pytest.mark.parametrize(
    "data",
    [b"", b"canary", png(4, 5)[:40], png(5, 4)[:-30], b"GIF89a", b"%!PS-Adobe-3.0 EPSF-3.0\n"],
)
def test_what_is_no_image_is_told_without_its_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ill").mkdir()
    (tmp_path / "ill" / "jane-doe.png").write_bytes(data)
    with pytest.raises(ContractError, match="column 'image': unreadable image") as caught:
        read(folder(tmp_path), images([1, 4, 5], column={"other_sizes": "resize"}))
    assert not any(word in str(caught.value) for word in ("jane", "canary", str(tmp_path)))
    assert caught.value.__cause__ is None


def test_sixteen_bits_are_refused_not_cut(tmp_path: Path) -> None:
    (tmp_path / "ill").mkdir()
    Image.fromarray(np.full((4, 5), 40_000, np.uint16)).save(tmp_path / "ill" / "a.png")
    with pytest.raises(ContractError, match="another kind of image"):
        read(folder(tmp_path), images([1, 4, 5]))


def test_nothing_to_read_is_told(tmp_path: Path) -> None:
    for path, fault in ((tmp_path, "empty"), (tmp_path / "absent", "unreadable")):
        with pytest.raises(ContractError, match=fault) as caught:
            read(folder(path), images([1, 4, 5]))
        assert str(tmp_path) not in str(caught.value)
    with pytest.raises(ContractError, match="no image column"):
        read(folder(tmp_path), images([4, 5]))


def test_the_version_changes_with_any_file(tmp_path: Path) -> None:
    image(tmp_path / "ill" / "a.png", GREY)
    before = folder(tmp_path).version()
    assert folder(tmp_path).version() == before
    image(tmp_path / "ill" / "b.png", GREY)
    between = folder(tmp_path).version()
    (tmp_path / "ill" / "a.png").touch()
    assert len({before, between, folder(tmp_path).version()}) == 3
