"""What kind of file of rows it is, told by its first bytes: names can be wrong."""

from typing import Literal

FileKind = Literal["csv", "npz", "parquet"]
ENDINGS: dict[FileKind, str] = {"csv": ".csv", "npz": ".npz", "parquet": ".parquet"}
SPREADSHEET = b"[Content_Types].xml"  # the first member of an .xlsx, a ZIP archive like .npz
_BEGINNINGS: dict[bytes, FileKind] = {
    b"PAR1": "parquet",
    b"PK\x03\x04": "npz",
    b"PK\x05\x06": "npz",
}


def kind_of(beginning: bytes) -> FileKind:
    """The kind of a file that begins so; what is neither Parquet nor an archive is text."""
    return _BEGINNINGS.get(beginning[:4], "csv")
