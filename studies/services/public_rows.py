"""Whether an uploaded file of public rows fits the study's data contract, asked before it is kept.

The reading is done by another process (`federation.services.public_rows`), which may use only so
much memory and time.
"""

import os
import subprocess
import sys
import tempfile

from django.conf import settings
from django.core.files.base import File

from federation.protocol.document import Protocol
from federation.protocol.file_kinds import ENDINGS, FileKind, kind_of
from studies.services.errors import PublicRowsRefused

READER = "federation.services.public_rows"
PATIENCE = 150  # seconds; the reader stops itself before
NAMES: dict[FileKind, str] = {"csv": "CSV", "npz": "npz", "parquet": "Parquet"}
FITS, FITS_NOT = 0, 3


def ending(file: File) -> str:
    """How the file is to be called, by its first bytes."""
    return ENDINGS[_kind(file)]


def must_fit(file: File, protocol: Protocol) -> None:
    """Return where every row of `file` fits the contract; the file is then at its beginning.

    Raises PublicRowsRefused: too large, unreadable, or which column does not fit and how.
    """
    if file.size > settings.PUBLIC_ROWS_MAX:
        most = settings.PUBLIC_ROWS_MAX / 2**20
        raise PublicRowsRefused(f"the file of public rows is larger than {most:g} MiB; give fewer")
    with tempfile.NamedTemporaryFile() as copy:
        for chunk in file.chunks():
            copy.write(chunk)
        copy.flush()
        file.seek(0)
        code, said = _read(copy.name, protocol.data.model_dump_json())
    if code == FITS_NOT:
        said = said.removeprefix("the file: ")
        raise PublicRowsRefused(f"the public rows, read as {NAMES[_kind(file)]}: {said}")
    if code != FITS:
        raise PublicRowsRefused("reading the public rows took too much memory or time; give fewer")


def _kind(file: File) -> FileKind:
    file.seek(0)
    beginning = file.read(8)
    file.seek(0)
    return kind_of(beginning)


def _read(path: str, contract: str) -> tuple[int | None, str]:
    """The reader's exit code and what it said; None where it took too long."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", READER, path],
            cwd=settings.BASE_DIR,
            env={"PATH": os.environ.get("PATH", ""), "OPENBLAS_NUM_THREADS": "1"},
            input=contract,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout
