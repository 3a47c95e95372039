"""One small table of patients as every kind of source would hold it, and what becomes of it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from federation.protocol.contract import Block
from federation.protocol.document import DataContract, Protocol
from federation.site.config import Dataset
from federation.site.datasets import encoded_blocks

SECRET = b"a site's secret key, 32 bytes..."
AGES = [63.0, 41.5, 0.0, 100.0, 77.25]
CHOL = [233.0, None, 250.0, None, 700.0]
KINDS = ["1", "x", "2", None, "1"]
NUM = [0, 1, 2, 0, 1]
WHO = ["a", "b", "a", "c", "b"]


def contract(**changes: Any) -> DataContract:
    """Age (bounds), chol (centre and spread, indicator), cp (categories); target num."""
    chol = {"name": "chol", "low": 0, "high": 700, "centre": 200, "spread": 50}
    document: dict[str, Any] = {
        "columns": [
            {"name": "age", "low": 0, "high": 100},
            chol | {"missing": "indicator"},
            {"name": "cp", "kind": "category", "categories": [1, 2, "x"], "missing": "category"},
        ],
        "target": {"column": "num", "classes": [[0], [1, 2]]},
    }
    return DataContract.model_validate(document | changes)


def patients(cap: int = 4, **changes: Any) -> DataContract:
    """The same contract, a patient being the unit."""
    return contract(unit="patient", patient_column="who", max_rows_per_patient=cap, **changes)


def images(shape: list[int], **changes: Any) -> DataContract:
    """One image per row, in two classes."""
    column = {"name": "image", "kind": "array", "shape": shape}
    return DataContract.model_validate(
        {
            "columns": [column | changes.pop("column", {})],
            "target": {"column": "label", "classes": [["ill"], ["well"]]},
        }
        | changes
    )


def protocol(data: DataContract, holdout: float = 0.0) -> Protocol:
    """A study of that contract."""
    return Protocol.model_validate(
        {
            "name": "test",
            "data": data.model_dump(mode="json"),
            "model": {"architecture": "logistic"},
            "training": {
                "sample_rate": 0.5,
                "local_steps": 3,
                "learning_rate": 0.5,
                "max_grad_norm": 1.0,
            },
            "privacy": {"noise_multiplier": 1.0, "target_delta": 1e-5},
            "rounds": {"count": 2},
            "evaluation": {"holdout": holdout},
        }
    )


def lent(source: Path | dict[str, Any]) -> Dataset:
    """A dataset as site.toml would name it."""
    named = {"file": str(source)} if isinstance(source, Path) else {"source": source}
    return Dataset.model_validate({"name": "heart", **named})


def read(dataset: Dataset, data: DataContract, holdout: float = 0.0) -> Block:
    """All rows of the source, encoded, as one block."""
    with closing(encoded_blocks(dataset, protocol(data, holdout), SECRET)) as found:
        blocks = list(found)
    parts = [
        None if parts[0] is None else np.concatenate(parts)
        for parts in zip(*(vars(block).values() for block in blocks), strict=True)
    ]
    return Block(*parts)


def csv_file(folder: Path) -> Dataset:
    rows = [
        ",".join("" if cell is None else f"{cell}" for cell in row)
        for row in zip(AGES, CHOL, KINDS, NUM, WHO, strict=True)
    ]
    path = folder / "heart.csv"
    path.write_text("\n".join(["age,chol,cp,num,who", *rows]) + "\n")
    return lent(path)


def table() -> pa.Table:
    """The table with the types that a database would export."""
    return pa.table(
        {
            "who": pa.array(WHO),
            "age": pa.array(AGES, pa.float32()),
            "chol": pa.array([None if c is None else int(c) for c in CHOL], pa.int16()),
            "cp": pa.array(KINDS).dictionary_encode(),
            "num": pa.array(NUM, pa.int64()),
        }
    )


def parquet_file(folder: Path, rows: pa.Table | None = None, **options: Any) -> Dataset:
    path = folder / "heart.parquet"
    pq.write_table(table() if rows is None else rows, path, **options)
    return lent(path)


QUERY = "SELECT num, age, chol, cp, who FROM visits ORDER BY place"
INSERT = "INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?)"


def rows() -> list[tuple[Any, ...]]:
    """The table's rows, numbered."""
    return [
        (place, *row) for place, row in enumerate(zip(AGES, CHOL, KINDS, NUM, WHO, strict=True))
    ]


def sqlite_file(folder: Path) -> Dataset:
    path = folder / "hospital.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE visits (place, age, chol, cp, num, who)")
        database.executemany(INSERT, rows())
    database.close()
    return lent({"kind": "sql", "url": f"sqlite:///{path}", "query": QUERY})


def image(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 [height, width] or [height, width, 3] as the file's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
