"""A site's rows against the data contract: checked, encoded, capped and split, unit by unit.

What happens to one privacy unit (a row, or a patient's rows) depends only on that unit's own rows
and the site's secret key, never on other units or on positions: removing a unit changes nothing
else, which is what the privacy accounting assumes of everything done before the noise.
"""

from dataclasses import dataclass

import numpy as np

from federation.protocol.cells import Cells, Columns, coded
from federation.protocol.csv_file import ContractError, needed_columns, read_csv
from federation.protocol.document import ArrayColumn, DataContract, NumberTarget
from federation.protocol.encoding import (
    column_missing,
    column_width,
    encode_column,
    feature_names,
    is_missing,
    target_index,
)
from federation.protocol.hashing import Hashes, hashes, of_column, row_bytes, row_texts
from federation.protocol.windows import times, windowed

__all__ = [
    "Block",
    "Columns",
    "ContractError",
    "Encoded",
    "cap",
    "encode",
    "encode_block",
    "names",
    "outputs",
    "rank_within",
    "read_csv",
    "row_width",
    "shape",
    "target_shape",
    "width",
]

SHORTEST_KEY = 16
HOLDOUT, CAP, UNIT, SERIES = b"holdout", b"cap", b"unit", b"series"


@dataclass(frozen=True)
class Encoded:
    """Rows ready for training: features float32 [n, width], targets [n], units int64 [n].

    Targets are classes, int64, or numbers scaled to −1 … 1, float32; [n, ahead] where several rows
    are forecast. `units` numbers each row's privacy unit from 0 to n_units - 1.
    """

    features: np.ndarray
    targets: np.ndarray
    units: np.ndarray
    n_units: int


@dataclass(frozen=True)
class Block:
    """Some rows of a source, encoded: features float32 [n, row_width], targets [n] as in `Encoded`.

    `held`, bool [n], says who is held out. Where patients are the units: `units` and `order`,
    uint64 [n], are keyed hashes of whose row it is and of the row; with windows also `series`,
    uint64 [n], and `times`, float64 [n, order columns]; `gone` and `silent`, bool [n], mark rows
    that no window may have, or predict from (see `windowed`).
    """

    features: np.ndarray
    targets: np.ndarray
    held: np.ndarray
    units: Hashes | None = None
    order: Hashes | None = None
    series: Hashes | None = None
    times: np.ndarray | None = None
    gone: np.ndarray | None = None
    silent: np.ndarray | None = None


def row_width(contract: DataContract) -> int:
    """The number of features that one row of the source becomes."""
    return sum(column_width(column) for column in contract.columns)


def width(contract: DataContract) -> int:
    """The number of features after encoding: of a window, those of all its rows."""
    return row_width(contract) * (contract.windows.length if contract.windows else 1)


def shape(contract: DataContract) -> tuple[int, ...] | None:
    """How the flat features of one row are to be read; None where they are just a list.

    (length, features) for windows, whose rows follow each other; the declared shape, channels
    first, where the only column is an array.
    """
    if contract.windows:
        return contract.windows.length, row_width(contract)
    only = contract.columns[0]
    if len(contract.columns) == 1 and isinstance(only, ArrayColumn):
        return tuple(only.shape)
    return None


def names(contract: DataContract) -> list[str]:
    """A readable name for each feature after encoding, in order."""
    found = [name for column in contract.columns for name in feature_names(column)]
    if contract.windows is None:
        return found
    return [f"{name} (row {row + 1})" for row in range(contract.windows.length) for name in found]


def outputs(contract: DataContract) -> int:
    """The model's outputs: one per number; one (a logit) for two classes, else one per class."""
    if isinstance(contract.target, NumberTarget):
        return contract.windows.ahead if contract.windows else 1
    classes = len(contract.target.classes)
    return 1 if classes == 2 else classes


def target_shape(contract: DataContract) -> tuple[int, ...]:
    """Of one row's target: () for a class or a number, (ahead,) for a forecast of several rows."""
    ahead = contract.windows.ahead if contract.windows else 1
    return (ahead,) if ahead > 1 else ()


def encode(columns: Columns, contract: DataContract, *, keyed_order: bytes | None) -> Encoded:
    """Check every kept row against the contract and turn it into numbers, all in memory.

    Rows that a column's rule drops go first, and with them every window that they are in; of each
    patient at most max_rows_per_patient rows stay, those with the smallest hash of their content
    under `keyed_order` (None: a public hash).

    Raises:
        ContractError: the column and the kind of fault.
    """
    rows = _rows(columns, contract)
    columns, features, targets = rows.columns, rows.features, rows.targets
    if contract.patient_column is None:
        return Encoded(features, targets, np.arange(len(targets)), len(targets))
    codes = coded(_patients(columns, contract)).codes
    order = _row_hashes(columns, contract, features, targets, keyed_order or b"", CAP)
    if contract.windows is None:
        kept = np.flatnonzero(rank_within(codes, order) < cap(contract))
        features, targets = features[kept], targets[kept]
    else:
        series = _series(columns, contract, keyed_order or b"")
        moments = times(columns, contract.windows)
        cut = windowed(series, moments, contract.windows, rows.gone, rows.silent)
        codes, order = codes[cut.firsts], order[cut.firsts]
        kept = np.flatnonzero(rank_within(codes, order) < cap(contract))
        features = features[cut.rows(kept)].reshape(len(kept), width(contract))
        targets = targets[cut.later(kept)].reshape(len(kept), *target_shape(contract))
    present, units = np.unique(codes[kept], return_inverse=True)
    return Encoded(features, targets, units.astype(np.int64), len(present))


def encode_block(columns: Columns, contract: DataContract, *, holdout: float, key: bytes) -> Block:
    """Check and encode one block of a source's rows; the cap needs all blocks and comes later.

    The secret coin of each unit lands on "held out" with probability `holdout`, the same for
    ever: it is a keyed hash of the patient's identifier, or, where the unit is the row, of the
    row's content (its texts, or its numbers after encoding where the source has no texts).

    Raises:
        ContractError: the column and the kind of fault.
        ValueError: holdout outside [0, 1), or a key shorter than 16 bytes.
    """
    if not 0 <= holdout < 1:
        raise ValueError("holdout must be at least 0 and below 1")
    if holdout and len(key) < SHORTEST_KEY:
        raise ValueError("the hold-out needs a secret key of at least 16 bytes")
    rows = _rows(columns, contract)
    columns, features, targets = rows.columns, rows.features, rows.targets
    held = np.zeros(len(targets), dtype=bool)
    if contract.patient_column is None:
        if holdout:
            coins = _row_hashes(columns, contract, features, targets, key, HOLDOUT)
            held = coins < _share(holdout)
        return Block(features, targets, held)
    patients = {contract.patient_column: _patients(columns, contract)}
    if holdout:
        held = of_column(patients, contract.patient_column, key, HOLDOUT) < _share(holdout)
    units = of_column(patients, contract.patient_column, key, UNIT)
    order = _row_hashes(columns, contract, features, targets, key, CAP)
    if contract.windows is None:
        return Block(features, targets, held, units, order)
    series, moments = _series(columns, contract, key), times(columns, contract.windows)
    marks = rows.gone, rows.silent
    return Block(features, targets, held, units, order, series, moments, *marks)


def cap(contract: DataContract) -> int:
    """How many rows, or windows, one unit may have."""
    return contract.max_rows_per_patient or 1


def rank_within(groups: np.ndarray, order: np.ndarray) -> np.ndarray:
    """int64 [n]: each element's place, from 0, in its own group when sorted by `order`."""
    by_group = np.lexsort((order, groups))
    ordered = groups[by_group]
    first = np.searchsorted(ordered, ordered, side="left")
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[by_group] = np.arange(len(groups)) - first
    return ranks


def _share(fraction: float) -> np.uint64:
    return np.uint64(int(fraction * 2**64))


@dataclass(frozen=True)
class _Rows:
    """Encoded rows. Dropped ones are not among them, or marked where windows have to see them."""

    columns: Columns
    features: np.ndarray
    targets: np.ndarray
    gone: np.ndarray
    silent: np.ndarray


def _rows(columns: Columns, contract: DataContract) -> _Rows:
    """The rows that stay; of windows all rows, zeros for what is `gone` or `silent`."""
    gone = _dropped(columns, contract)
    silent = np.zeros(len(gone), dtype=bool)
    if contract.target.missing == "drop":
        silent = _no_outcome(columns, contract)
        if _also_a_feature(contract):
            gone |= silent
    whole = ~(gone | silent)
    if contract.windows is None:
        columns = _select(columns, whole)
        marks = gone[whole], silent[whole]
        return _Rows(columns, _features(columns, contract), _targets(columns, contract), *marks)
    features = np.zeros((len(gone), row_width(contract)), dtype=np.float32)
    features[~gone] = _features(_select(columns, ~gone), contract)
    known = _targets(_select(columns, whole), contract)
    targets = np.zeros(len(gone), dtype=known.dtype)
    targets[whole] = known
    return _Rows(columns, features, targets, gone, silent)


def _also_a_feature(contract: DataContract) -> bool:
    """Whether a row without an outcome lacks a feature, too, and no other rule says what to do."""
    name = contract.target.column
    return any(column.name == name and column.missing == "refuse" for column in contract.columns)


def _features(columns: Columns, contract: DataContract) -> np.ndarray:
    """float32 [n, row_width] of rows of which none is to be dropped."""
    count = len(columns[contract.target.column])
    features = np.zeros((count, row_width(contract)), dtype=np.float32)
    start = 0
    for column in contract.columns:
        cells = columns[column.name]
        missing = column_missing(column, cells, contract.missing_values)
        end = start + column_width(column)
        encode_column(column, cells, missing, features[:, start:end])
        start = end
    return features


def _select(columns: Columns, chosen: np.ndarray) -> Columns:
    if chosen.all():
        return columns
    return {name: cells[chosen] for name, cells in columns.items()}


def _dropped(columns: Columns, contract: DataContract) -> np.ndarray:
    dropped = np.zeros(len(columns[contract.target.column]), dtype=bool)
    for column in contract.columns:
        if column.missing == "drop":
            dropped |= column_missing(column, columns[column.name], contract.missing_values)
    return dropped


def _no_outcome(columns: Columns, contract: DataContract) -> np.ndarray:
    target, declared = contract.target, []
    if not isinstance(target, NumberTarget):
        declared = [value for group in target.classes for value in group]
    return is_missing(columns[target.column], contract.missing_values, declared)


def _patients(columns: Columns, contract: DataContract) -> Cells:
    cells = columns[str(contract.patient_column)]
    if is_missing(cells, contract.missing_values).any():
        raise ContractError(
            str(contract.patient_column),
            "missing patient identifier",
            "every row must say whose it is; complete the data or leave such rows out",
        )
    return cells


def _series(columns: Columns, contract: DataContract, key: bytes) -> Hashes:
    """Which series each row belongs to: a name that two patients share is two series."""
    found = of_column(columns, str(contract.patient_column), key, UNIT)
    name = contract.windows.series_column if contract.windows else None
    return found if name is None else found + of_column(columns, name, key, SERIES)


def _row_hashes(
    columns: Columns,
    contract: DataContract,
    features: np.ndarray,
    targets: np.ndarray,
    key: bytes,
    purpose: bytes,
) -> Hashes:
    texts = row_texts(columns, needed_columns(contract))
    if texts is not None:
        return hashes(texts, key, purpose)
    parts = [features, targets]
    if contract.windows is not None:
        parts.append(times(columns, contract.windows))
    return hashes(row_bytes(*parts), key, purpose)


def _targets(columns: Columns, contract: DataContract) -> np.ndarray:
    target = contract.target
    cells = columns[target.column]
    if _no_outcome(columns, contract).any():
        advice = "leave out rows whose outcome is not known, or declare missing = 'drop' for it"
        raise ContractError(target.column, "missing target", advice)
    if isinstance(target, NumberTarget):
        found = np.zeros((len(cells), 1), dtype=np.float32)
        encode_column(target.as_column(), cells, np.zeros(len(cells), dtype=bool), found)
        return found[:, 0]
    index = target_index(cells, target.classes)
    if (index < 0).any():
        raise ContractError(
            target.column, "undeclared class", "correct the data, or declare the value in a class"
        )
    return index
