"""Rows in a CSV file: comma, semicolon, tab or bar, UTF-8, one header line."""

from collections.abc import Generator

from federation.protocol.contract import Columns, row_width
from federation.protocol.csv_file import csv_blocks, needed_columns
from federation.protocol.document import DataContract
from federation.site.sources import FileSettings, file_version, rows_per_block


class CsvFile:
    """See `federation.protocol.csv_file`, which the hub's public rows are read with too."""

    Settings = FileSettings

    def version(self, settings: FileSettings) -> str:
        """By the file's size and times."""
        return file_version(settings.file)

    def blocks(self, settings: FileSettings, contract: DataContract) -> Generator[Columns]:
        """Blocks of texts."""
        most = rows_per_block(row_width(contract))
        yield from csv_blocks(settings.file, needed_columns(contract), most)


SOURCE = CsvFile()
