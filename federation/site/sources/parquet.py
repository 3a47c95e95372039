"""Rows in a Parquet file, read page by page: numbers stay numbers, texts become coded texts."""

from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from federation.protocol.cells import Arrays, Cells, Coded, Columns, Numbers, number_text
from federation.protocol.contract import ContractError, row_width
from federation.protocol.csv_file import needed_columns
from federation.protocol.document import ArrayColumn, DataContract, NumberColumn
from federation.site.sources import FileSettings, file_version, kind_of, rows_per_block, unreadable

READ_AHEAD = 1 << 20  # bytes per column; without it a whole row group is read at once


class ParquetFile:
    """One Parquet file, or a folder of parts; of any number of row groups of any size."""

    Settings = FileSettings

    def version(self, settings: FileSettings) -> str:
        """By the sizes and times of the file, or of all parts."""
        return file_version(*_parts(settings.file))

    def blocks(self, settings: FileSettings, contract: DataContract) -> Generator[Columns]:
        """Blocks of numbers, coded texts and arrays."""
        empty, types = True, dict[str, pa.DataType]()
        for part in _parts(settings.file):
            if not part.is_file():
                raise unreadable()
            try:
                with pq.ParquetFile(part, buffer_size=READ_AHEAD, pre_buffer=False) as file:
                    empty = empty and file.metadata.num_rows == 0
                    yield from _blocks(file, contract, types)
            except (pa.ArrowException, OSError, UnicodeDecodeError):
                # The original errors' texts may quote the file.
                advice = "check that it was copied whole and that other programs can read it"
                raise ContractError("", "no readable Parquet file", advice) from None
        if empty:
            raise ContractError("", "empty", "give a file with at least one row")


def _parts(file: Path) -> list[Path]:
    """The file; of a folder all files in it, by name. Raises ContractError where it has others."""
    if not file.is_dir():
        return [file]
    try:
        found = sorted(part for part in file.iterdir() if not part.name.startswith((".", "_")))
    except OSError:
        raise unreadable() from None
    if any(part.is_dir() or kind_of(part) != "parquet" for part in found):
        advice = (
            "a folder of parts holds .parquet files alone; what the names of sub-folders say "
            "(year=2026) has to stand in a column"
        )
        raise ContractError("", "a folder with more than Parquet parts", advice)
    return found


def _blocks(
    file: pq.ParquetFile, contract: DataContract, types: dict[str, pa.DataType]
) -> Iterator[Columns]:
    names = needed_columns(contract)
    _check_names(file.schema_arrow.names, names)
    if file.metadata.num_rows:
        _check_types(file.schema_arrow, names, types)
    target = {contract.target.column: contract.target}
    form = target | {column.name: column for column in contract.columns}
    rows = rows_per_block(row_width(contract))
    for batch in file.iter_batches(batch_size=rows, columns=names, use_threads=False):
        yield {name: _cells(name, batch.column(name), form.get(name)) for name in names}


def _check_names(found: list[str], names: list[str]) -> None:
    for name in names:
        if name not in found:
            raise ContractError(name, "missing column", "the file must have a column of this name")
        if found.count(name) > 1:
            raise ContractError(name, "duplicate column", "keep one column of this name")


def _check_types(schema: pa.Schema, names: list[str], types: dict[str, pa.DataType]) -> None:
    """All parts alike, as far as they have rows.

    An identifier that is whole in one and a float in the next may be written in two ways, and its
    patient counted twice.
    """
    for name in names:
        found = schema.field(name).type
        if types.setdefault(name, found) != found:
            advice = "write this column with one type in all parts"
            raise ContractError(name, "different types in different parts", advice)


def _cells(name: str, array: pa.Array, column: object) -> Cells:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    if column is not None and pa.types.is_duration(array.type):
        # Its number depends on the unit that the file happens to have; it may order rows.
        raise ContractError(name, "wrong type", "write a duration as a plain number")
    if isinstance(column, ArrayColumn):
        return _arrays(name, array)
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if isinstance(column, NumberColumn) and _is_number(array.type):
        return _numbers(array)
    if pa.types.is_floating(array.type):
        return _numbers(array)
    return _coded(name, array)


def _is_number(kind: pa.DataType) -> bool:
    return any(
        test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    )


def _numbers(array: pa.Array) -> Numbers:
    null = array.is_null().to_numpy(zero_copy_only=False)
    values = array.cast(pa.float64(), safe=False)
    return Numbers(pc.fill_null(values, 0.0).to_numpy(zero_copy_only=False), null)


def _coded(name: str, array: pa.Array) -> Coded:
    if pa.types.is_temporal(array.type):
        array = array.cast(pa.string())
    if not (_is_number(array.type) or _is_text(array.type) or pa.types.is_null(array.type)):
        raise ContractError(name, "wrong type", "give plain numbers or texts in this column")
    found = array.dictionary_encode()
    texts = [
        value.strip() if isinstance(value, str) else number_text(value)
        for value in found.dictionary.to_pylist()
        if value is not None
    ]
    codes = pc.fill_null(found.indices, -1).to_numpy(zero_copy_only=False)
    return Coded(texts, codes.astype(np.int64))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _arrays(name: str, array: pa.Array) -> Arrays:
    """Lists of numbers; that each has the declared length is seen by who encodes them."""
    kind = array.type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not (lists or pa.types.is_fixed_size_list(kind)) or not _is_number(kind.value_type):
        raise ContractError(name, "wrong type", "give a list of numbers in each row")
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
    flat = array.flatten()
    if len(set(lengths.tolist())) != 1 or array.null_count or flat.null_count:
        raise ContractError(name, "another shape", "give lists of the declared length, all full")
    return Arrays(flat.to_numpy(zero_copy_only=False).reshape(len(array), -1))


SOURCE = ParquetFile()
