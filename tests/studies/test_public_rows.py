"""A file of public rows that cannot be used is refused when it is uploaded, in words."""

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile

from federation.protocol.contract import ContractError
from federation.protocol.document import Protocol
from federation.services import public_rows
from studies.services.errors import PublicRowsRefused
from studies.services.public_rows import ending, must_fit
from tests.studies.protocols import small_protocol
from tests.studies.row_files import CNN, LABELS, MAKERS, TABLE, csv_of, images, npz_of, parquet_of

COLUMNS = [{"name": "age", "low": 20, "high": 90}, {"name": "bp", "low": 60, "high": 220}]


def protocol(**sections: Any) -> Protocol:
    return small_protocol(**({"data": {"columns": COLUMNS}} | sections))


def uploaded(file: bytes, **sections: Any) -> None:
    """As the form hands it over, under a name that says nothing."""
    must_fit(ContentFile(file, "rows.dat"), protocol(**sections))


@pytest.mark.parametrize("kind", MAKERS)
def test_each_kind_fits_and_is_named_by_its_content(kind):
    file = ContentFile(MAKERS[kind](TABLE), "rows.dat")
    must_fit(file, protocol())
    assert file.tell() == 0
    assert ending(file) == f".{kind}"


def test_images_fit_channels_first_or_last():
    uploaded(npz_of(images()), **CNN)
    first = images() | {"image": np.moveaxis(images()["image"], -1, 1)}
    uploaded(npz_of(first), **CNN)


def half_a_header() -> bytes:
    """What numpy's parser of headers stumbles over."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in ("image", "lesion"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00\x0c\x00{'descr': '''")
    return data.getvalue()


IMAGES = images()
FAULTS: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "half a Parquet file": (parquet_of(TABLE)[:-40], {}, "read as Parquet: no readable Parquet"),
    "half an archive": (npz_of(IMAGES)[:-40], CNN, "read as npz: no readable npz file"),
    "half a header": (half_a_header(), CNN, "read as npz: no readable npz file"),
    "half a line": (csv_of(TABLE)[:-6], {}, "read as CSV: truncated"),
    "nothing": (b" ", {}, "read as CSV: empty"),
    "no file of rows": (bytes(range(256)), {}, "read as CSV: not UTF-8 text"),
    "another column": (csv_of({"age": [1], "sick": [0]}), {}, "column 'bp': missing column"),
    "no labels": (npz_of({"image": IMAGES["image"]}), CNN, "column 'lesion': missing column"),
    "no number": (parquet_of(TABLE | {"bp": [80.0, 90, 180, float("nan")]}), {}, "column 'bp'"),
    "out of bounds": (parquet_of(TABLE | {"bp": [80.0, 90, 180, 900]}), {}, "'bp': out of bounds"),
    "a third class": (csv_of(TABLE | {"sick": [0, 1, 2, 0]}), {}, "'sick': undeclared class"),
    "another size": (
        npz_of(IMAGES | {"image": IMAGES["image"][:, :4]}), CNN, "'image': another shape",
    ),
    "no finite pixel": (
        npz_of(IMAGES | {"image": np.full((12, 3, 8, 8), np.nan)}), CNN, "'image': not finite",
    ),
    "objects": (
        npz_of(IMAGES | {"lesion": np.array([print] * 12, dtype=object)}), CNN,
        "'lesion': wrong type",
    ),
    "fewer labels": (
        npz_of(IMAGES | {"lesion": LABELS[:5]}), CNN, "another number of rows",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_refused_at_once(fault):
    data, sections, says = FAULTS[fault]
    with pytest.raises(PublicRowsRefused, match=says):
        uploaded(data, **sections)


def test_a_spreadsheet_is_called_one():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(PublicRowsRefused, match="a spreadsheet; save it as CSV"):
        uploaded(data.getvalue())


def test_a_pickle_in_an_archive_is_never_opened(tmp_path):
    """Had it been, the file would be there."""
    trace = tmp_path / "trace"
    payload = f"cposix\nsystem\n(S'touch {trace}'\ntR.".encode()
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("image.npy", payload)
        head = io.BytesIO()
        header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
        np.lib.format.write_array_header_1_0(head, header)
        archive.writestr("lesion.npy", head.getvalue() + payload)
    with pytest.raises(PublicRowsRefused, match="read as npz"):
        uploaded(data.getvalue(), **CNN)
    assert not trace.exists()


def test_a_file_that_is_too_large_is_not_read(settings):
    settings.PUBLIC_ROWS_MAX = 100
    uploaded(csv_of(TABLE))
    with pytest.raises(PublicRowsRefused, match="larger than"):
        uploaded(csv_of(TABLE) + b"\n" * 100)


def test_a_file_that_unpacks_to_more_than_memory_holds_is_refused(tmp_path, monkeypatch):
    """By the count of its numbers, block by block, before they are kept."""
    monkeypatch.setattr(public_rows, "MOST_NUMBERS", 11 * 192)
    file = tmp_path / "images"
    file.write_bytes(npz_of(images()))
    with pytest.raises(ContractError, match="too large; give at most 11 rows"):
        public_rows.read(file, protocol(**CNN).data)
    file.write_bytes(npz_of(images(11)))
    assert len(public_rows.read(file, protocol(**CNN).data).targets) == 11


def test_what_takes_the_reader_too_much_is_refused(monkeypatch):
    monkeypatch.setattr("studies.services.public_rows.READER", "federation.no_such_reader")
    with pytest.raises(PublicRowsRefused, match="too much memory or time"):
        uploaded(csv_of(TABLE))
