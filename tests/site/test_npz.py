"""npz: arrays are read row by row from the archive, and nothing in it is unpickled."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation.protocol.contract import ContractError
from federation.site import sources
from federation.site.config import Dataset
from tests.site.sourcing import contract, images, lent, read

LABELS = np.array(["ill", "well", "ill"])


def saved(folder: Path, **arrays: Any) -> Dataset:
    np.savez(folder / "images.npz", **arrays)
    return lent(folder / "images.npz")


def pixels(*shape: int) -> np.ndarray:
    return (np.arange(np.prod(shape)) % 256).astype(np.uint8).reshape(shape)


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (pixels(3, 4, 5), [1, 4, 5]),
        (pixels(3, 1, 4, 5), [1, 4, 5]),
        (pixels(3, 4, 5, 3), [3, 4, 5]),
        (pixels(3, 3, 4, 5), [3, 4, 5]),
        (pixels(3, 7).astype(np.float32), [7]),
    ],
)
def test_images_are_read_with_channels_first(
    tmp_path: Path, array: np.ndarray, shape: list[int]
) -> None:
    found = read(saved(tmp_path, image=array, label=LABELS), images(shape))
    if array.shape == (3, 4, 5, 3):
        array = np.moveaxis(array, -1, 1)
    expected = array.reshape(3, -1) / 127.5 - 1
    assert np.allclose(found.features, expected, atol=1e-6)
    assert found.targets.tolist() == [0, 1, 0]


def test_keys_name_the_arrays_and_whole_numbers_are_labels(tmp_path: Path) -> None:
    saved(tmp_path, train_images=pixels(2, 2, 2), train_labels=np.array([[1], [0]], np.uint8))
    keys = {"image": "train_images", "label": "train_labels"}
    dataset = lent({"kind": "npz", "file": str(tmp_path / "images.npz"), "keys": keys})
    agreed = images([1, 2, 2], target={"column": "label", "classes": [["0"], ["1"]]})
    assert read(dataset, agreed).targets.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"age": "AGE"}, "has no array of this name"),
        ({"elsewhere": "AGE"}, "has no array of this name"),
        ({"agee": "old"}, "if 'age' is meant, correct site.toml"),
    ],
)
def test_a_key_that_would_be_ignored_is_refused(
    tmp_path: Path, keys: dict[str, str], says: str
) -> None:
    data = contract(columns=[{"name": "age", "low": 0, "high": 100}])
    saved(tmp_path, age=np.array([0.0]), old=np.array([50.0]), num=np.array([0]))
    dataset = lent({"kind": "npz", "file": str(tmp_path / "images.npz"), "keys": keys})
    with pytest.raises(ContractError, match=says):
        read(dataset, data)


def test_keys_may_serve_several_studies(tmp_path: Path) -> None:
    data = contract(columns=[{"name": "age", "low": 0, "high": 100}])
    saved(tmp_path, age=np.array([0.0]), old=np.array([50.0]), num=np.array([0]))
    keys = {"age": "old", "image": "age"}
    dataset = lent({"kind": "npz", "file": str(tmp_path / "images.npz"), "keys": keys})
    assert read(dataset, data).features.tolist() == [[0.0]]


def test_columns_of_numbers_and_texts_are_read_too(tmp_path: Path) -> None:
    data = contract(columns=[{"name": "age", "low": 0, "high": 100}])
    dataset = saved(tmp_path, age=np.array([0.0, 50.0]), num=np.array([0, 2]))
    assert read(dataset, data).features.tolist() == [[-1.0], [0.0]]


def test_a_packed_archive_is_read_in_blocks(tmp_path: Path) -> None:
    array = np.zeros((200_000, 2), np.float32)
    np.savez_compressed(tmp_path / "a.npz", x=array, label=np.full(200_000, "ill"))
    agreed = images([2], column={"name": "x"})
    sizes = [len(block["x"]) for block in lent(tmp_path / "a.npz").blocks(agreed)]
    assert sum(sizes) == 200_000
    assert max(sizes) <= sources.BLOCK_ROWS


FAULTS = [
    ({"image": pixels(3, 4, 4)}, "column 'label': missing column"),
    ({"image": pixels(3, 4, 4), "label": LABELS[:2]}, "column 'image': another number of rows"),
    ({"image": pixels(3, 4, 6), "label": LABELS}, "column 'image': another shape"),
    ({"image": pixels(3, 20), "label": LABELS}, "column 'image': another shape"),
    ({"image": np.array(["a"] * 3), "label": LABELS}, "column 'image': (wrong type|another shape)"),
    ({"image": np.full((3, 4, 5), np.nan), "label": LABELS}, "column 'image': not finite"),
    ({"image": np.full((3, 4, 5), 256.0), "label": LABELS}, "column 'image': out of bounds"),
    ({"image": np.full((3, 4, 5), 1j), "label": LABELS}, "column 'image': wrong type"),
    ({"image": pixels(3, 4, 5), "label": np.array(["ill", "canary", "ill"])}, "undeclared class"),
    ({"image": pixels(3, 4, 5), "label": pixels(3, 2)}, "column 'label': another shape"),
    ({"image": pixels(3, 4, 5), "label": np.array(1)}, "column 'label': another shape"),
    ({"image": np.asfortranarray(pixels(3, 4, 5)), "label": LABELS}, "'image': wrong order"),
    ({"image": pixels(0, 4, 5), "label": LABELS[:0]}, "empty"),
]


@pytest.mark.parametrize(("arrays", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_each_fault_is_named(tmp_path: Path, arrays: dict[str, Any], fault: str) -> None:
    with pytest.raises(ContractError, match=fault) as caught:
        read(saved(tmp_path, **arrays), images([1, 4, 5]))
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    dataset = saved(tmp_path, image=np.array([print, print], dtype=object), label=LABELS[:2])
    with pytest.raises(ContractError, match="column 'image': wrong type"):
        read(dataset, images([1]))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    dataset = saved(tmp_path, image=pixels(3, 4, 5), label=LABELS)
    path = tmp_path / "images.npz"
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[150] ^= 255  # among the pixels: the archive's checksum tells
    for broken in (whole[:-30], b"", b"no archive", bytes(damaged)):
        path.write_bytes(broken)
        with pytest.raises(ContractError) as caught:
            read(dataset, images([1, 4, 5]))
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("place", range(120, 200, 8))
def test_a_damaged_compressed_archive_is_refused(tmp_path: Path, place: int) -> None:
    np.savez_compressed(tmp_path / "images.npz", image=pixels(3, 4, 5), label=LABELS)
    damaged = bytearray((tmp_path / "images.npz").read_bytes())
    damaged[place] ^= 255
    (tmp_path / "images.npz").write_bytes(bytes(damaged))
    with pytest.raises(ContractError, match="no readable npz file") as caught:
        read(lent(tmp_path / "images.npz"), images([1, 4, 5]))
    assert caught.value.__cause__ is None


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, image=pixels(3, 4, 5), label=LABELS)
    whole = bytearray((tmp_path / "images.npz").read_bytes())
    whole[6] |= 1  # the flag in the first member's header,
    whole[whole.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    (tmp_path / "images.npz").write_bytes(bytes(whole))
    with pytest.raises(ContractError, match="no readable npz file"):
        read(lent(tmp_path / "images.npz"), images([1, 4, 5]))


def headed(text: bytes, data: bytes = b"") -> bytes:
    """A member of that header and those bytes."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\x93NUMPY\x01\x00\xff\xff",
        b"\x93NUMPY\x09\x00ab",
        b"x",
        headed(b"{'descr': '|u1',"),
        headed(b"'''"),
        headed(b"(" * 5000),
        headed(b"-" * 9000 + b"1"),
        headed(b"  a\n b"),
        headed(b"{{}: 1}"),
        headed(b"__import__('os').abort()"),
    ],
)
def test_a_member_that_is_no_array_is_refused(tmp_path: Path, header: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "images.npz", "w") as archive:
        archive.writestr("image.npy", header)
        labels = io.BytesIO()
        np.save(labels, LABELS)
        archive.writestr("label.npy", labels.getvalue())
    with pytest.raises(ContractError, match="no readable npz file"):
        read(lent(tmp_path / "images.npz"), images([1, 4, 5]))


@pytest.mark.parametrize("letter", [b"\xff\xff\xff\xff", b"\x00\x00\x11\x00", b"\x00\xd8\x00\x00"])
def test_texts_that_are_no_characters_are_refused(tmp_path: Path, letter: bytes) -> None:
    header = b"{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }"
    with zipfile.ZipFile(tmp_path / "images.npz", "w") as archive:
        pixel = io.BytesIO()
        np.save(pixel, pixels(1, 4, 5))
        archive.writestr("image.npy", pixel.getvalue())
        archive.writestr("label.npy", headed(header, letter))
    with pytest.raises(ContractError, match="no readable npz file"):
        read(lent(tmp_path / "images.npz"), images([1, 4, 5]))


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_way_of_packing_is_read_or_refused(tmp_path: Path, packing: int) -> None:
    path = tmp_path / "images.npz"
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, array in (("image", pixels(3, 4, 5)), ("label", LABELS)):
            member = io.BytesIO()
            np.save(member, array)
            archive.writestr(f"{name}.npy", member.getvalue())
    assert len(read(lent(path), images([1, 4, 5])).targets) == 3
    damaged = bytearray(path.read_bytes())
    damaged[60] ^= 255
    path.write_bytes(damaged)
    with pytest.raises(ContractError, match="no readable npz file"):
        read(lent(path), images([1, 4, 5]))


def test_a_header_that_promises_more_than_there_is_ends_the_reading(tmp_path: Path) -> None:
    """Nothing is set aside for what a header claims: it is read block by block."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 4, 5)}
    )
    labels = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        labels, {"descr": "|u1", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(tmp_path / "images.npz", "w") as archive:
        archive.writestr("image.npy", head.getvalue())
        archive.writestr("label.npy", labels.getvalue())
    with pytest.raises(ContractError, match="no readable npz file"):
        read(lent(tmp_path / "images.npz"), images([1, 4, 5]))
