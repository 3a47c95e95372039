"""A folder of images: labelled by the sub-folder that each lies in, or by a CSV file."""

import itertools
import os
import struct
import warnings
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from federation.protocol.canonical import canonical_json, digest
from federation.protocol.cells import Arrays, Columns
from federation.protocol.contract import ContractError, row_width
from federation.protocol.csv_file import csv_blocks, needed_columns
from federation.protocol.document import ArrayColumn, DataContract
from federation.protocol.encoding import text_array
from federation.site.sources import File, Settings, rows_per_block, stamp

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
EIGHT_BITS = {"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"}
PICTURES = {".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".dcm"}
MODES = {1: "L", 3: "RGB"}
MOST_PIXELS = 2**26  # of one picture, decoded: 192 MiB; a small file can claim far more
# What Pillow raises for files that are cut off, no image, or made to harm.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    struct.error,
    zlib.error,
)
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class ImageSettings(Settings):
    """`labels` is a CSV file with one line for each image, whose name stands in `file_column`."""

    folder: File
    labels: File | None = None
    file_column: str = "file"


class ImageFolder:
    """PNG, JPEG, BMP and TIFF with 8 bits per channel, as the contract's one array column.

    Each is turned as its EXIF orientation says, as every viewer shows it.
    """

    Settings = ImageSettings

    def version(self, settings: ImageSettings) -> str:
        """By the names, sizes and times of all files."""
        found = [stamp(settings.labels)] if settings.labels else []
        try:
            for folder, inner, files in os.walk(settings.folder, onerror=_raise):
                inner.sort()
                found += [stamp(Path(folder, name)) for name in sorted(files)]
        except OSError:
            raise _fault("unreadable", "check that the folder exists and may be read") from None
        return digest(canonical_json(found))

    def blocks(self, settings: ImageSettings, contract: DataContract) -> Generator[Columns]:
        """Blocks of arrays (uint8) with their labels and whatever else the CSV file holds."""
        column = _array_column(contract)
        empty = True
        for others in _labelled(settings, contract, column):
            empty = False
            files = others.pop(settings.file_column)
            pixels = [_pixels(_inside(settings.folder, str(name)), column) for name in files]
            yield {**others, column.name: Arrays(np.stack(pixels))}
        if empty:
            raise _fault("empty", "give a folder with at least one image in a sub-folder")


SOURCE = ImageFolder()


def _raise(error: OSError) -> None:
    raise error


def _fault(fault: str, advice: str) -> ContractError:
    return ContractError("", fault, advice)


def _array_column(contract: DataContract) -> ArrayColumn:
    found = [column for column in contract.columns if isinstance(column, ArrayColumn)]
    if len(found) != 1 or len(found[0].shape) != 3 or found[0].shape[0] not in MODES:
        raise _fault(
            "no image column",
            "a study of images declares one column of kind 'array' and shape "
            "[1 or 3, height, width]; a folder is read as a table only where .parquet files lie "
            "right in it",
        )
    return found[0]


def _labelled(
    settings: ImageSettings, contract: DataContract, column: ArrayColumn
) -> Iterator[dict[str, np.ndarray]]:
    """Blocks of texts: the file's name and every needed column but the image."""
    most = rows_per_block(row_width(contract))
    names = [name for name in needed_columns(contract) if name != column.name]
    if settings.labels is None:
        if names != [contract.target.column]:
            raise _fault("labels missing", "these columns need a CSV file, named in `labels`")
        yield from _by_folder(settings, contract.target.column, most)
        return
    for block in csv_blocks(settings.labels, [*names, settings.file_column]):
        count = len(block[settings.file_column])
        for first in range(0, count, most):
            chosen = np.arange(count)
            within = (chosen >= first) & (chosen < first + most)
            yield {name: np.asarray(cells[within]) for name, cells in block.items()}


def _by_folder(settings: ImageSettings, target: str, most: int) -> Iterator[dict[str, np.ndarray]]:
    files = _files(settings.folder)
    while some := list(itertools.islice(files, most)):
        labels, names = zip(*some, strict=True)
        yield {target: text_array(labels), settings.file_column: text_array(names)}


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """(label, path within `folder`) of each image; what would be passed over is refused instead."""
    for label in _listed(folder):
        if label.is_dir():
            for file in _listed(Path(label.path)):
                _check_file(file)
                yield label.name, f"{label.name}/{file.name}"
        elif Path(label.name).suffix.lower() in PICTURES:
            advice = (
                "move it into the sub-folder that is its label, or say the labels in a CSV file"
            )
            raise _fault("an image outside the sub-folders", advice)


def _check_file(file: os.DirEntry[str]) -> None:
    if file.is_dir():
        advice = (
            "put each image right into the sub-folder that is its label, or say the labels in a "
            "CSV file (`labels`), which may name images at any depth"
        )
        raise _fault("a folder within a sub-folder", advice)
    if not file.is_file():
        raise _fault("unreadable", "a name in a sub-folder leads to no file; remove or mend it")


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                (entry for entry in entries if not entry.name.startswith(".")),
                key=lambda entry: entry.name,
            )
    except OSError:
        raise _fault("unreadable", "check that the folder exists and may be read") from None
    if any("\udc80" <= letter <= "\udcff" for entry in found for letter in entry.name):
        raise _fault("a name that is not UTF-8", "rename the files and folders of such names")
    return found


def _inside(folder: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _fault("a file outside the folder", "name images by their path within the folder")
    return folder / path


def _pixels(path: Path, column: ArrayColumn) -> np.ndarray:
    """uint8 [channels · height · width]. What is wrong is said of the column, never of the file."""
    channels, height, width = column.shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                _check(image, column)
                ImageOps.exif_transpose(image, in_place=True)
                _check_size(image, column)
                plain = image.convert(MODES[channels])
                if plain.size != (width, height):
                    plain = plain.resize((width, height), Image.Resampling.BILINEAR)
                pixels = np.asarray(plain, dtype=np.uint8)
    except TOO_LARGE:
        raise _too_large(column) from None
    except UNREADABLE as error:
        if isinstance(error, ContractError):
            raise
        # The original errors' texts name the file, which may be a patient's.
        advice = f"every file must be one of {', '.join(FORMATS)}, whole; remove the others"
        raise ContractError(column.name, "unreadable image", advice) from None
    return pixels.reshape(height, width, channels).transpose(2, 0, 1).reshape(-1)


def _check(image: Image.Image, column: ArrayColumn) -> None:
    """What the file's head says, before anything is decoded."""
    if image.width * image.height > MOST_PIXELS:
        raise _too_large(column)
    if image.mode not in EIGHT_BITS:
        advice = "save the images with 8 bits per channel"
        raise ContractError(column.name, "another kind of image", advice)
    # A camera's JPEG (MPO) has previews of the one photograph behind it.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        advice = "save each page as an image of its own"
        raise ContractError(column.name, "several pages in one image", advice)


def _check_size(image: Image.Image, column: ArrayColumn) -> None:
    """Of the image as it is to be looked at."""
    _, height, width = column.shape
    if column.other_sizes == "refuse" and image.size != (width, height):
        advice = "scale the images, or declare other_sizes = 'resize' in the study"
        raise ContractError(column.name, "another size", advice)


def _too_large(column: ArrayColumn) -> ContractError:
    return ContractError(column.name, "image too large", "scale the images down before")
