"""What happens to one unit depends on its own rows and the secret key alone.

The privacy accounting assumes that adding or removing one unit changes nothing about the others:
which rows a patient keeps, and who is held out, must not depend on anybody else or on positions.
"""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.contract import (
    Columns,
    ContractError,
    Encoded,
    encode,
    encode_block,
)
from federation.protocol.document import DataContract
from federation.protocol.encoding import text_array
from tests.protocol.samples import SECRET, contract, patients

HEADER = ("who", "age", "chol", "cp", "num")
ROW = st.tuples(
    st.sampled_from("abcdef"),
    st.integers(0, 100).map(str),
    st.sampled_from(["100", "200", "?"]),
    st.sampled_from(["1", "2", "x", ""]),
    st.sampled_from(["0", "1"]),
)
HELD_ROWS = [3, 4, 7, 8, 11, 17, 19, 21, 25, 26, 31, 35, 38]
HELD_PATIENTS = ["p12", "p14", "p16", "p3", "p4"]
ROWS = st.lists(ROW, min_size=1, max_size=30)
Row = tuple[str, ...]


def _columns(rows: list[Row]) -> Columns:
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(HEADER)
    return {name: text_array(values) for name, values in zip(HEADER, cells, strict=True)}


def _of_row_unit(rows: list[Row]) -> Columns:
    return {name: cells for name, cells in _columns(rows).items() if name != "who"}


def _contents(encoded: Encoded) -> Counter[Any]:
    """The units as a bag of bags of rows: numbering and order do not count."""
    units: dict[int, list[Any]] = {}
    for unit, features, target in zip(
        encoded.units.tolist(), encoded.features.tolist(), encoded.targets.tolist(), strict=True
    ):
        units.setdefault(unit, []).append((*features, target))
    return Counter(tuple(sorted(rows)) for rows in units.values())


def _bag(columns: Columns) -> Counter[Row]:
    return Counter(zip(*(cells.tolist() for cells in columns.values()), strict=True))


def split_holdout(
    columns: Columns, agreed: DataContract, *, fraction: float, key: bytes
) -> tuple[Columns, Columns]:
    """The columns of the training rows, and of the rows held out."""
    held = encode_block(columns, agreed, holdout=fraction, key=key).held
    parts = [{name: cells[side] for name, cells in columns.items()} for side in (~held, held)]
    return parts[0], parts[1]


def _held(
    columns: Columns, agreed: DataContract, fraction: float = 0.5, key: bytes = SECRET
) -> set[str]:
    return set(split_holdout(columns, agreed, fraction=fraction, key=key)[1]["who"].tolist())


@given(ROWS, st.integers(1, 4), st.data())
def test_removing_a_patient_leaves_every_other_patients_rows(
    rows: list[Row], cap: int, data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted({row[0] for row in rows})))
    with_all = _contents(encode(_columns(rows), patients(cap), keyed_order=SECRET))
    others = [row for row in rows if row[0] != gone]
    without = _contents(encode(_columns(others), patients(cap), keyed_order=SECRET))
    alone = [row for row in rows if row[0] == gone]
    own = _contents(encode(_columns(alone), patients(cap), keyed_order=SECRET))
    assert with_all == without + own


@given(ROWS, st.integers(1, 4), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[Row], cap: int, random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    for keyed_order in (SECRET, None):
        first = encode(_columns(rows), patients(cap), keyed_order=keyed_order)
        second = encode(_columns(shuffled), patients(cap), keyed_order=keyed_order)
        assert _contents(first) == _contents(second)
    train, held = split_holdout(_columns(rows), patients(cap), fraction=0.5, key=SECRET)
    again = split_holdout(_columns(shuffled), patients(cap), fraction=0.5, key=SECRET)
    assert sorted(train["who"].tolist()) == sorted(again[0]["who"].tolist())
    assert sorted(held["who"].tolist()) == sorted(again[1]["who"].tolist())


@given(ROWS, st.integers(1, 4))
def test_no_patient_keeps_more_rows_than_the_cap(rows: list[Row], cap: int) -> None:
    encoded = encode(_columns(rows), patients(cap), keyed_order=SECRET)
    given_rows = Counter(row[0] for row in rows)
    kept = Counter(encoded.units.tolist())
    assert sorted(kept.values()) == sorted(min(count, cap) for count in given_rows.values())
    assert encoded.n_units == len(given_rows) == len(kept)
    assert set(kept) == set(range(encoded.n_units))


@given(ROWS)
def test_a_patient_is_wholly_in_one_part(rows: list[Row]) -> None:
    train, held = split_holdout(_columns(rows), patients(4), fraction=0.5, key=SECRET)
    assert not set(train["who"].tolist()) & set(held["who"].tolist())
    assert len(train["who"]) + len(held["who"]) == len(rows)


@given(ROWS, st.data())
def test_a_patients_coin_does_not_see_the_others(rows: list[Row], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted({row[0] for row in rows})))
    others = [row for row in rows if row[0] != gone]
    held = _held(_columns(rows), patients(4))
    assert held - {gone} == _held(_columns(others), patients(4))


@given(ROWS, st.data())
def test_a_rows_coin_does_not_see_the_others(rows: list[Row], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    agreed = contract()

    def parts(chosen: list[Row]) -> tuple[Counter[Row], Counter[Row]]:
        first, second = split_holdout(_of_row_unit(chosen), agreed, fraction=0.5, key=SECRET)
        bags = [
            Counter(zip(*(c.tolist() for c in p.values()), strict=True)) for p in (first, second)
        ]
        return bags[0], bags[1]

    whole, rest = parts(rows), parts(rows[:place] + rows[place + 1 :])
    one = parts([rows[place]])
    assert whole == (rest[0] + one[0], rest[1] + one[1])


def _people(count: int) -> Columns:
    return _columns([(f"p{i}", str(i % 100), "?", "1", "0") for i in range(count)])


def test_the_coin_lands_as_often_as_declared_and_differs_by_key() -> None:
    columns = _people(4000)
    held = set(split_holdout(columns, patients(1), fraction=0.25, key=SECRET)[1]["who"].tolist())
    other = set(
        split_holdout(columns, patients(1), fraction=0.25, key=b"x" * 32)[1]["who"].tolist()
    )
    # Binomial(4000, 1/4): standard deviation 27; the intersection has 250 ± 15.
    assert abs(len(held) - 1000) < 150
    assert abs(len(held & other) - 250) < 90


def test_a_larger_fraction_keeps_those_already_held_out() -> None:
    columns = _people(500)
    parts = [_held(columns, patients(1), fraction) for fraction in (0.1, 0.2, 0.9)]
    assert parts[0] < parts[1] < parts[2]


def test_the_key_decides_which_rows_a_patient_keeps() -> None:
    rows = [("a", str(i), "200", "1", "0") for i in range(50)]
    kept = {
        tuple(encode(_columns(rows), patients(3), keyed_order=key).features[:, 0].tolist())
        for key in (b"k" * 32, b"l" * 32, SECRET, None)
    }
    assert len(kept) == 4


def test_dropped_rows_do_not_use_up_the_cap() -> None:
    columns = contract().model_dump(mode="json")["columns"]
    columns[1]["missing"] = "drop"
    rows = [("a", "1", "?", "1", "0")] * 5 + [("a", "2", "200", "1", "0")] * 2
    encoded = encode(_columns(rows), patients(2, columns=columns), keyed_order=SECRET)
    assert len(encoded.targets) == 2


def test_a_row_without_patient_is_an_error() -> None:
    rows = [("a", "1", "200", "1", "0"), ("?", "1", "200", "1", "0")]
    for act in (
        lambda: encode(_columns(rows), patients(2), keyed_order=SECRET),
        lambda: split_holdout(_columns(rows), patients(2), fraction=0.5, key=SECRET),
    ):
        with pytest.raises(ContractError, match="missing patient identifier"):
            act()


def test_the_split_wants_a_fraction_and_a_key() -> None:
    columns = _people(3)
    for fraction in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="holdout must be"):
            split_holdout(columns, patients(1), fraction=fraction, key=SECRET)
    with pytest.raises(ValueError, match="16 bytes"):
        split_holdout(columns, patients(1), fraction=0.5, key=b"short")
    train, held = split_holdout(columns, patients(1), fraction=0.0, key=b"")
    assert (len(train["who"]), len(held["who"])) == (3, 0)


def test_the_same_are_held_out_as_by_the_first_release() -> None:
    """Known answers: a site that goes on with an old study must not swap its hold-out."""
    rows = [(f"p{i % 17}", str(i), "200", "1", "0") for i in range(40)]
    held = encode_block(_of_row_unit(rows), contract(), holdout=0.3, key=SECRET).held
    assert held.nonzero()[0].tolist() == HELD_ROWS
    held = encode_block(_columns(rows), patients(4), holdout=0.3, key=SECRET).held
    assert sorted({rows[i][0] for i in held.nonzero()[0]}) == HELD_PATIENTS
