"""Public rows at the hub: read from CSV, Parquet or npz, against the study's data contract.

As a command (`python -m federation.services.public_rows FILE`, the contract as JSON on standard
input) it says whether a file fits, in a process that may use only so much memory and time: the
web process loads no such file, and a small file may unpack to a large one.
"""

import resource
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from federation.protocol.cells import Columns, joined
from federation.protocol.contract import ContractError, Encoded, encode, width
from federation.protocol.document import DataContract
from federation.protocol.file_kinds import SPREADSHEET, kind_of
from federation.site import sources

MOST_NUMBERS = 2**27  # in memory, 4 bytes each
MOST_MEMORY, MOST_SECONDS = 4 * 2**30, 120
FITS, FITS_NOT = 0, 3


def read(file: Path, contract: DataContract) -> Encoded:
    """The rows, encoded; what kind of file it is, its first bytes say. Each row counts for itself.

    Raises:
        ContractError: which column, which kind of fault; too many numbers to hold.
        FileNotFoundError: there is no such file.
    """
    with file.open("rb") as opened:
        beginning = opened.read(1024)
    kind = kind_of(beginning)
    if kind == "npz" and SPREADSHEET in beginning:
        raise ContractError("", "a spreadsheet", "save it as CSV in UTF-8")
    source, declared = sources.get(kind), _by_row(contract)
    with closing(source.blocks(source.Settings(file=file), declared)) as blocks:
        if declared.windows:  # cut from whole series, which blocks would cut through
            return encode(_whole(blocks, declared), declared, keyed_order=None)
        parts = [encode(block, declared, keyed_order=None) for block in _bounded(blocks, declared)]
    count = sum(part.n_units for part in parts)
    features = np.concatenate([part.features for part in parts])
    targets = np.concatenate([part.targets for part in parts])
    return Encoded(features, targets, np.arange(count), count)


def _by_row(contract: DataContract) -> DataContract:
    """Nobody's privacy is at stake, so patients need not be named, and no cap holds."""
    if contract.windows:  # these are cut from somebody's series
        return contract.model_copy(update={"max_rows_per_patient": 1_000_000})
    by_row = {"unit": "row", "patient_column": None, "max_rows_per_patient": None}
    return contract.model_copy(update=by_row)


def _whole(blocks: Iterator[Columns], contract: DataContract) -> Columns:
    parts = list(_bounded(blocks, contract))
    return {name: joined([part[name] for part in parts]) for name in parts[0]}


def _bounded(blocks: Iterator[Columns], contract: DataContract) -> Iterator[Columns]:
    most, seen = MOST_NUMBERS // width(contract), 0
    for block in blocks:
        seen += len(block[contract.target.column])
        if seen > most:
            raise ContractError("", "too large", f"give at most {most:,} rows of this width")
        yield block


def main(arguments: list[str]) -> int:
    """Say on standard output what does not fit. 0: it fits; 3: it does not."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    contract = DataContract.model_validate_json(sys.stdin.read())
    try:
        read(Path(arguments[0]), contract)
    except ContractError as error:
        sys.stdout.write(str(error))
        return FITS_NOT
    return FITS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
