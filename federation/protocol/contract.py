"""A site's rows against the data contract: checked, encoded, capped and split, unit by unit.

What happens to one privacy unit (a row, or a patient's rows) depends only on that unit's own rows
and the site's secret key, never on other units or on positions: removing a unit changes nothing
else, which is what the privacy accounting assumes of everything done before the noise.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from federation.protocol.csv_file import Columns, ContractError, needed_columns, read_csv
from federation.protocol.document import DataContract
from federation.protocol.encoding import (
    class_index,
    column_missing,
    column_width,
    distinct_texts,
    encode_column,
    feature_names,
    is_missing,
)

__all__ = [
    "Columns",
    "ContractError",
    "Encoded",
    "encode",
    "load",
    "names",
    "outputs",
    "read_csv",
    "split_holdout",
    "width",
]

SHORTEST_KEY = 16
HASH_ROWS = 50_000


@dataclass(frozen=True)
class Encoded:
    """Rows ready for training: features float32 [n, width], targets and units int64 [n].

    `units` numbers each row's privacy unit from 0 to n_units - 1.
    """

    features: np.ndarray
    targets: np.ndarray
    units: np.ndarray
    n_units: int


def width(contract: DataContract) -> int:
    """The number of features after encoding."""
    return sum(column_width(column) for column in contract.columns)


def names(contract: DataContract) -> list[str]:
    """A readable name for each feature after encoding, in order."""
    return [name for column in contract.columns for name in feature_names(column)]


def outputs(contract: DataContract) -> int:
    """The model's outputs: one (a logit) for two classes, else one per class."""
    classes = len(contract.target.classes)
    return 1 if classes == 2 else classes


def load(
    path: Path, contract: DataContract, *, holdout: float, key: bytes
) -> tuple[Encoded, Encoded]:
    """The file's (training rows, hold-out rows). Raises ContractError as its three steps do."""
    columns = read_csv(path, contract)
    train, held = split_holdout(columns, contract, fraction=holdout, key=key)
    return (
        encode(train, contract, keyed_order=key),
        encode(held, contract, keyed_order=key),
    )


def encode(columns: Columns, contract: DataContract, *, keyed_order: bytes | None) -> Encoded:
    """Check every kept row against the contract and turn it into numbers.

    Rows that a column's rule drops go first; of each patient at most max_rows_per_patient rows
    stay, those with the smallest hash of their content under `keyed_order` (None: a public hash).

    Raises:
        ContractError: the column and the kind of fault.
    """
    columns = _select(columns, ~_dropped(columns, contract))
    columns = _capped(columns, contract, keyed_order)
    count = len(columns[contract.target.column])
    features = np.zeros((count, width(contract)), dtype=np.float32)
    start = 0
    for column in contract.columns:
        cells = columns[column.name]
        missing = column_missing(column, cells, contract.missing_values)
        end = start + column_width(column)
        encode_column(column, cells, missing, features[:, start:end])
        start = end
    units, n_units = _units(columns, contract)
    return Encoded(features, _targets(columns, contract), units, n_units)


def split_holdout(
    columns: Columns, contract: DataContract, *, fraction: float, key: bytes
) -> tuple[Columns, Columns]:
    """(training, hold-out) columns: one secret coin per unit, the same for ever.

    The coin is a keyed hash (BLAKE2b) of the patient's identifier, or of the row's content where
    the unit is the row; it lands on hold-out with probability `fraction`.

    Raises:
        ContractError: a row without patient identifier.
        ValueError: fraction outside [0, 1), or a key shorter than 16 bytes.
    """
    if not 0 <= fraction < 1:
        raise ValueError("fraction must be at least 0 and below 1")
    if fraction == 0:
        return columns, _select(columns, np.zeros(_count(columns), dtype=bool))
    if len(key) < SHORTEST_KEY:
        raise ValueError("the hold-out needs a secret key of at least 16 bytes")
    held = _coins(columns, contract, key) < np.uint64(int(fraction * 2**64))
    return _select(columns, ~held), _select(columns, held)


def _count(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _select(columns: Columns, chosen: np.ndarray) -> Columns:
    if chosen.dtype == bool and chosen.all():
        return columns
    return {name: cells[chosen] for name, cells in columns.items()}


def _dropped(columns: Columns, contract: DataContract) -> np.ndarray:
    dropped = np.zeros(_count(columns), dtype=bool)
    for column in contract.columns:
        if column.missing == "drop":
            dropped |= column_missing(column, columns[column.name], contract.missing_values)
    return dropped


def _coins(columns: Columns, contract: DataContract, key: bytes) -> np.ndarray:
    if contract.patient_column is None:
        return _hashes(_row_texts(columns, contract), key, b"holdout")
    patients, codes = distinct_texts(_patients(columns, contract))
    return _hashes(iter(patients), key, b"holdout")[codes]


def _patients(columns: Columns, contract: DataContract) -> np.ndarray:
    cells = columns[str(contract.patient_column)]
    if is_missing(cells, contract.missing_values).any():
        raise ContractError(
            str(contract.patient_column),
            "missing patient identifier",
            "every row must say whose it is; complete the data or leave such rows out",
        )
    return cells


def _row_texts(columns: Columns, contract: DataContract) -> Iterator[str]:
    """Each row's cells as one text. No cell contains the separator: `read_csv` refuses it."""
    cells = [columns[name] for name in needed_columns(contract)]
    for start in range(0, _count(columns), HASH_ROWS):
        chunk = [column[start : start + HASH_ROWS].tolist() for column in cells]
        yield from map("\0".join, zip(*chunk, strict=True))


def _hashes(texts: Iterator[str], key: bytes, purpose: bytes) -> np.ndarray:
    """uint64 [n]: the first 8 bytes of keyed BLAKE2b (RFC 7693), personalised by `purpose`."""
    secret = hashlib.sha256(key).digest()
    digests = b"".join(
        hashlib.blake2b(text.encode(), digest_size=8, key=secret, person=purpose).digest()
        for text in texts
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _capped(columns: Columns, contract: DataContract, key: bytes | None) -> Columns:
    most = contract.max_rows_per_patient
    if contract.unit == "row" or most is None or _count(columns) == 0:
        return columns
    _, codes = distinct_texts(_patients(columns, contract))
    over = np.flatnonzero(np.bincount(codes)[codes] > most)
    order = _hashes(_row_texts(_select(columns, over), contract), key or b"", b"cap")
    kept = np.ones(_count(columns), dtype=bool)
    kept[over] = _rank_within(codes[over], order) < most
    return _select(columns, kept)


def _rank_within(groups: np.ndarray, order: np.ndarray) -> np.ndarray:
    """int64 [n]: each element's place, from 0, in its own group when sorted by `order`."""
    by_group = np.lexsort((order, groups))
    ordered = groups[by_group]
    first = np.searchsorted(ordered, ordered, side="left")
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[by_group] = np.arange(len(groups)) - first
    return ranks


def _units(columns: Columns, contract: DataContract) -> tuple[np.ndarray, int]:
    if contract.patient_column is None:
        count = _count(columns)
        return np.arange(count, dtype=np.int64), count
    patients, codes = distinct_texts(_patients(columns, contract))
    return codes, len(patients)


def _targets(columns: Columns, contract: DataContract) -> np.ndarray:
    target = contract.target
    cells = columns[target.column]
    index = class_index(cells, target.classes)
    declared = [value for group in target.classes for value in group]
    if is_missing(cells, contract.missing_values, declared).any():
        raise ContractError(
            target.column, "missing target", "leave out rows whose outcome is not known"
        )
    if (index < 0).any():
        raise ContractError(
            target.column, "undeclared class", "correct the data, or declare the value in a class"
        )
    return index
