"""A Parquet file whose texts are no UTF-8: refused in our words, which quote none of them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federation.protocol.contract import ContractError
from tests.site.sourcing import contract, lent, read


def test_texts_that_are_no_utf_8_are_refused(tmp_path: Path) -> None:
    ends = pa.array([0, 1, 3], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"1\xff\xfe")])
    table = pa.table({"age": [50.0, 60.0], "chol": [200.0, 210.0], "cp": broken, "num": ["0", "1"]})
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(ContractError, match="no readable Parquet file") as caught:
        read(lent(tmp_path / "rows.parquet"), contract())
    assert caught.value.__cause__ is None
    assert "0xff" not in str(caught.value)
