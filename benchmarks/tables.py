"""Printing what was measured: an aligned table, then one line of JSON."""

import json
from collections.abc import Sequence
from typing import Any


def show(heads: Sequence[str], rows: Sequence[Sequence[str]], record: dict[str, Any]) -> None:
    """Print `rows` under `heads`, then `record` as the one line for machines."""
    everything = [list(heads), *map(list, rows)]
    widths = [max(len(row[column]) for row in everything) for column in range(len(heads))]
    for row in everything:
        first, *rest = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join((first, *rest)).rstrip())
    print(json.dumps(record))
