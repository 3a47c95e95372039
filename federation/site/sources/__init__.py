"""Where a site's rows come from: one file for each kind of source, found by listing this folder.

A new source is one new file with a module-level `SOURCE` that keeps the promise of `Source`. Its
errors are `ContractError`s in our own words: what pyarrow, SQLAlchemy or Pillow say may quote data
or a password, and a refusal leaves the site.
"""

from collections.abc import Generator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any, ClassVar, Self
from typing import Protocol as Promise

from pydantic import BaseModel, ConfigDict, Field

from federation.protocol.canonical import canonical_json, digest
from federation.protocol.contract import Columns, ContractError
from federation.protocol.document import DataContract

File = Annotated[Path, Field(strict=False)]  # TOML has texts, not paths
BLOCK_NUMBERS = 2**22  # numbers in one block of rows, 32 MiB of float64
BLOCK_ROWS = 65_536


class Settings(BaseModel):
    """What site.toml says of one source: unknown keys are refused, values are not guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def within(self, folder: Path) -> Self:
        """The same with every relative path taken from `folder`."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        paths = {name: folder / value for name, value in found.items() if isinstance(value, Path)}
        return self.model_copy(update=paths)


class FileSettings(Settings):
    """A source that is one file."""

    file: File


class Source(Promise):
    """What each file here promises."""

    Settings: ClassVar[type[Settings]]

    def version(self, settings: Any) -> str:
        """A digest that changes when the rows may have changed. Raises ContractError."""
        ...

    def blocks(self, settings: Any, contract: DataContract) -> Generator[Columns]:
        """The contract's columns, block by block, never more than one block in memory.

        Raises ContractError: which column, which kind of fault; no value, no count.
        """
        ...


@cache
def kinds() -> tuple[str, ...]:
    """The installed kinds of source, sorted."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


@cache
def get(kind: str) -> Source:
    """The source of that kind; pyarrow, SQLAlchemy and Pillow are loaded only when asked for.

    Raises KeyError for an unknown kind.
    """
    if kind not in kinds():
        raise KeyError(kind)
    found: Source = import_module(f"{__name__}.{kind}").SOURCE
    return found


def kind_of(file: Path) -> str:
    """The kind that a file's name tells: by its ending, a CSV file where that says nothing."""
    by_suffix = {".parquet": "parquet", ".pq": "parquet", ".npz": "npz"}
    return by_suffix.get(file.suffix.lower(), "csv")


def kind_of_folder(folder: Path) -> str:
    """Parquet where such files lie right in the folder, else images."""
    try:
        parts = any(kind_of(file) == "parquet" for file in folder.iterdir())
    except OSError:
        return "images"  # who reads them says that they cannot be read
    return "parquet" if parts else "images"


def rows_per_block(numbers_per_row: int) -> int:
    """How many rows of that width one block holds."""
    return max(1, min(BLOCK_ROWS, BLOCK_NUMBERS // max(1, numbers_per_row)))


def file_version(*files: Path) -> str:
    """A digest of the files' names, sizes and times of change. Raises ContractError."""
    return digest(canonical_json([stamp(file) for file in files]))


def stamp(file: Path) -> list[str]:
    """What tells that a file was changed or replaced. Raises ContractError."""
    try:
        seen = file.stat()
    except OSError:
        raise unreadable() from None
    # A name need not be UTF-8, and what is digested must be.
    name = str(file).encode(errors="backslashreplace").decode()
    return [name, *map(str, (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino))]


def unreadable() -> ContractError:
    """The file cannot be opened."""
    return ContractError("", "unreadable", "check that the file exists and the site may read it")
