"""Columns that came in blocks are joined to what they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.dtypes import StringDType

from federation.protocol.cells import Arrays, Cells, Coded, Numbers, joined

TEXTS = st.lists(st.sampled_from(["a", "b", "", "ä"]), min_size=1, max_size=6)
BLOCKS = st.lists(TEXTS, min_size=1, max_size=4)


def coded_of(texts: list[str]) -> Coded:
    found = sorted(set(texts) - {""})
    return Coded(found, np.array([found.index(t) if t else -1 for t in texts], dtype=np.int64))


def written(cells: Coded) -> list[str]:
    return [cells.texts[code] if code >= 0 else "" for code in cells.codes]


@given(BLOCKS)
def test_coded_texts_keep_their_texts_each_once(blocks):
    whole = joined([coded_of(texts) for texts in blocks])
    assert written(whole) == [text for texts in blocks for text in texts]
    assert len(set(whole.texts)) == len(whole.texts)


@given(BLOCKS)
def test_plain_texts_stay_in_order(blocks):
    whole = joined([np.array(texts, dtype=StringDType()) for texts in blocks])
    assert whole.tolist() == [text for texts in blocks for text in texts]


@pytest.mark.parametrize(
    "of",
    [
        lambda row: Numbers(np.array([row, 7.0]), np.array([False, True])),
        lambda row: Arrays(np.full((2, 3), row, dtype=np.uint8)),
    ],
)
def test_numbers_and_arrays_stay_in_order(of):
    parts: list[Cells] = [of(row) for row in (1, 2, 3)]
    whole = joined(parts)
    assert len(whole) == 6
    for name, found in vars(whole).items():
        assert np.array_equal(found, np.concatenate([getattr(part, name) for part in parts]))
