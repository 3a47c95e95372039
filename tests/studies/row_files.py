"""The same few rows as a file of every kind, and a dozen small images."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TABLE = {"age": [30, 40, 70, 80], "bp": [80.0, 90, 180, 200], "sick": [0, 0, 1, 1]}
CNN: dict[str, Any] = {
    "data": {
        "columns": [{"name": "image", "kind": "array", "shape": [3, 8, 8], "low": 0, "high": 255}],
        "target": {"column": "lesion", "classes": [["benign"], ["malignant"]]},
    },
    "model": {"architecture": "cnn", "parameters": {"channels": [8], "hidden": 0}},
    "training": {"initialisation": "seeded", "seed": 3},
}
LABELS = np.array(["benign", "malignant"] * 6)


def csv_of(table: dict[str, list]) -> bytes:
    lines = [
        ",".join(table),
        *(",".join(map(str, row)) for row in zip(*table.values(), strict=True)),
    ]
    return "\n".join(lines).encode() + b"\n"


def parquet_of(table: dict[str, list], **options: Any) -> bytes:
    data = io.BytesIO()
    pq.write_table(pa.table(table), data, **options)
    return data.getvalue()


def npz_of(arrays: dict[str, Any]) -> bytes:
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)
    return data.getvalue()


MAKERS = {"csv": csv_of, "parquet": parquet_of, "npz": npz_of}


def images(count: int = 12) -> dict[str, np.ndarray]:
    """Channels last, as they are mostly saved; malignant ones are darker."""
    shade = np.where(LABELS[:count] == "malignant", 40, 200)
    grain = np.arange(count * 192).reshape(count, 8, 8, 3) % 31
    return {
        "image": (shade[:, None, None, None] + grain).astype(np.uint8),
        "lesion": LABELS[:count],
    }
