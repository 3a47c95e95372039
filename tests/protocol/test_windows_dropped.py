"""A dropped row takes its windows with it: nothing bridges it, in memory as in blocks."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.cells import Columns
from federation.protocol.contract import ContractError, Encoded, encode, encode_block
from federation.protocol.document import DataContract
from federation.protocol.encoding import text_array
from tests.protocol.samples import SECRET


def agreed(missing: str = "drop", outcome: str = "drop", **windows: Any) -> DataContract:
    """x and y in 0 … 100; y of the row after three is predicted."""
    return DataContract.model_validate(
        {
            "unit": "patient",
            "patient_column": "who",
            "max_rows_per_patient": 100,
            "columns": [{"name": "x", "low": 0, "high": 100, "missing": missing}],
            "target": {
                "column": "y",
                "kind": "number",
                "low": 0,
                "high": 100,
                "missing": outcome,
            },
            "windows": {"length": 3, "horizon": 1, "order": ["t"]} | windows,
        }
    )


def columns(x: list[str], y: list[str]) -> Columns:
    rows = range(len(x))
    return {
        "who": text_array(["a"] * len(x)),
        "t": text_array([str(row) for row in rows]),
        "x": text_array(x),
        "y": text_array(y),
    }


def windows_of(found: Encoded) -> list[tuple[list[int], int]]:
    rows = np.rint((found.features + 1) * 50).astype(int).tolist()
    return sorted(zip(rows, np.rint((found.targets + 1) * 50).astype(int).tolist(), strict=True))


WHOLE = ["1", "2", "3", "4", "5"]


def test_no_window_bridges_a_dropped_row() -> None:
    """[1, 2, 4] → 5 would take row 4 for the one after row 2."""
    found = encode(columns(["1", "2", "", "4", "5"], WHOLE), agreed(), keyed_order=SECRET)
    assert windows_of(found) == []
    longer = ["1", "2", "3", "4", "", "6", "7", "8", "9"]
    found = encode(columns(longer, list("123456789")), agreed(), keyed_order=SECRET)
    assert windows_of(found) == [([1, 2, 3], 4), ([6, 7, 8], 9)]


def test_a_row_without_an_outcome_stays_a_feature() -> None:
    """[1, 3, 4] → 5 would leave row 2 out, whose features are known."""
    found = encode(columns(WHOLE, ["1", "", "3", "4", "5"]), agreed(), keyed_order=SECRET)
    assert windows_of(found) == [([1, 2, 3], 4), ([2, 3, 4], 5)]
    found = encode(columns(WHOLE, ["1", "2", "3", "", "5"]), agreed(), keyed_order=SECRET)
    assert windows_of(found) == [([2, 3, 4], 5)]


def test_every_one_of_several_outcomes_counts() -> None:
    ahead = agreed(ahead=2, length=2)
    found = encode(columns(WHOLE, ["1", "2", "3", "", "5"]), ahead, keyed_order=SECRET)
    assert len(found.targets) == 0
    found = encode(columns(WHOLE, ["1", "2", "3", "4", ""]), ahead, keyed_order=SECRET)
    assert len(found.targets) == 1


def test_what_else_a_dropped_row_holds_is_not_looked_at() -> None:
    found = encode(
        columns(["1", "2", "3", "4", ""], [*WHOLE[:4], "999"]), agreed(), keyed_order=b""
    )
    assert windows_of(found) == [([1, 2, 3], 4)]


def test_a_row_without_the_number_that_is_feature_and_outcome_is_dropped() -> None:
    """The outcome's rule says so where the feature's own says nothing."""
    data = agreed().model_dump(mode="json", exclude_none=True)
    both = [{"name": "y", "low": 0, "high": 100}]
    own = DataContract.model_validate(data | {"columns": both})
    rows = columns([*WHOLE, "6"], ["1", "2", "3", "4", "", "6"])
    assert windows_of(encode(rows, own, keyed_order=b"")) == [([1, 2, 3], 4)]


def test_rules_that_refuse_still_refuse() -> None:
    with pytest.raises(ContractError, match="column 'x': missing value"):
        encode(columns(["1", "", "3"], WHOLE[:3]), agreed(missing="refuse"), keyed_order=b"")
    with pytest.raises(ContractError, match="column 'y': missing target"):
        encode(columns(WHOLE, ["1", "", "3", "4", "5"]), agreed(outcome="refuse"), keyed_order=b"")


CELLS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12)


@given(CELLS, st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(1, 3))
def test_windows_are_those_of_the_whole_series_that_touch_nothing_dropped(
    cells: list[tuple[bool, bool]], length: int, horizon: int, ahead: int, step: int
) -> None:
    x = [str(row) if has else "" for row, (has, _) in enumerate(cells)]
    y = [str(row) if has else "" for row, (_, has) in enumerate(cells)]
    contract = agreed(length=length, horizon=horizon, ahead=ahead, step=step)
    found = encode(columns(x, y), contract, keyed_order=SECRET)
    expected = []
    for begin in range(0, len(cells), step):
        rows = range(begin, begin + length)
        later = range(begin + length - 1 + horizon, begin + length - 1 + horizon + ahead)
        if later[-1] < len(cells) and all(x[r] for r in rows) and all(x[r] and y[r] for r in later):
            expected.append([*rows, *later])
    targets = found.targets.reshape(len(found.targets), ahead)
    joined = np.rint((np.hstack([found.features, targets]) + 1) * 50).astype(int).tolist()
    assert sorted(joined) == expected


def test_a_block_marks_the_rows() -> None:
    rows = columns(["1", "", "3"], ["1", "2", ""])
    block = encode_block(rows, agreed(), holdout=0, key=b"")
    assert block.gone is not None
    assert block.silent is not None
    assert (block.gone.tolist(), block.silent.tolist()) == (
        [False, True, False],
        [False] * 2 + [True],
    )
