"""Windows over a series in files are those in memory, held out region by region."""

import tracemalloc
from pathlib import Path

import pytest

from federation.protocol.contract import encode, read_csv
from federation.protocol.document import DataContract
from tests.site.sourcing import SECRET, lent
from tests.site.test_rowstore import bag, stored


def weekly(cap: int) -> DataContract:
    """Two numbers per week; the class is next week's first."""
    return DataContract.model_validate(
        {
            "unit": "patient",
            "patient_column": "region",
            "max_rows_per_patient": cap,
            "columns": [
                {"name": "ili", "low": 0, "high": 99},
                {"name": "visits", "low": 0, "high": 99, "missing": "drop"},
            ],
            "target": {"column": "ili", "classes": [["< 40"], [">= 40"]]},
            "windows": {"length": 4, "horizon": 2, "step": 3, "order": ["year", "week"]},
        }
    )


@pytest.mark.parametrize("cap", [3, 1000])
def test_files_hold_the_windows_that_memory_would(tmp_path: Path, cap: int) -> None:
    lines = [
        f"r{region},{2020 + week // 52},{week % 52},{(7 * week + region) % 100},{week % 90 or ''}"
        for week in range(120)
        for region in range(12)
    ]
    path = tmp_path / "ili.csv"
    path.write_text("\n".join(["region,year,week,ili,visits", *lines]) + "\n")
    agreed = weekly(cap)
    whole = encode(read_csv(path, agreed), agreed, keyed_order=SECRET)
    split = stored(tmp_path, lent(path), agreed, holdout=0.4)
    assert split.train.n_units + split.holdout.n_units == whole.n_units == 12
    assert 0 < split.holdout.n_units < 12
    assert bag(split.train) + bag(split.holdout) == bag(whole)
    assert split.train.features.shape[1] == 8
    assert max(len(unit) for unit in bag(whole)) == min(
        cap, 36
    )  # of 39, three touch weeks 0 and 90


@pytest.mark.parametrize("in_files", [True, False])
def test_memory_does_not_grow_with_windows_that_the_cap_leaves_out(
    tmp_path: Path, in_files: bool
) -> None:
    """60 000 windows of 500 rows, of which ten are kept: all their indices are 240 MB."""
    agreed = DataContract.model_validate(
        {
            "unit": "patient",
            "patient_column": "who",
            "max_rows_per_patient": 10,
            "columns": [{"name": "x", "low": 0, "high": 9}],
            "target": {"column": "y", "classes": [[0], [1]]},
            "windows": {"length": 500, "order": ["t"]},
        }
    )
    path = tmp_path / "long.csv"
    path.write_text("who,t,x,y\n" + "".join(f"a,{t},{t % 9},{t % 2}\n" for t in range(60_000)))
    columns = read_csv(path, agreed)
    tracemalloc.start()
    try:
        if in_files:
            assert len(stored(tmp_path, lent(path), agreed).train.targets) == 10
        else:
            assert len(encode(columns, agreed, keyed_order=SECRET).targets) == 10
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
