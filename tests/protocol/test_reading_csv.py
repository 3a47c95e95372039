"""CSV files as hospitals write them: many dialects are read, and each fault has its words."""

from pathlib import Path

import numpy as np
import pytest

from federation.protocol.contract import ContractError, read_csv
from tests.protocol.samples import contract, patients

PLAIN = "age,chol,cp,num\n63,233,1,0\n41,?,x,2\n"


def _read(tmp_path: Path, data: str | bytes, who: bool = False) -> dict[str, list[str]]:
    path = tmp_path / "data.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    columns = read_csv(path, patients(2) if who else contract())
    assert all(isinstance(cells, np.ndarray) for cells in columns.values())
    return {name: cells.tolist() for name, cells in columns.items()}


EXPECTED = {"age": ["63", "41"], "chol": ["233", "?"], "cp": ["1", "x"], "num": ["0", "2"]}


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n",
        "\n" + PLAIN,
        PLAIN + ",,,\n",
        PLAIN.replace("age,chol", " age , chol "),
        PLAIN.replace("63,233", " 63, 233 "),
        PLAIN.replace("age", '"age"').replace("63", '"63"'),
        "age,chol,cp,num,\n63,233,1,0,\n41,?,x,2,\n",
        "num,x,cp,chol,age\n0,9,1,233,63\n2,9,x,?,41\n",
        "age;chol;cp;num;a,b,c,d\n63;233;1;0;5,5\n41;?;x;2;7,7\n",
    ],
    ids=range(17),
)
def test_dialects_are_read_alike(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path, text) == EXPECTED


def test_quotes_hold_separators_and_line_ends(tmp_path: Path) -> None:
    columns = _read(tmp_path, 'age,note,chol,cp,num\n63,"a, ""b""\nc",233,1,0\n')
    assert columns["age"] == ["63"]
    assert "note" not in columns


def test_the_patient_column_is_read_too(tmp_path: Path) -> None:
    text = "who,age,chol,cp,num\nÅsa,63,233,1,0\n"
    assert _read(tmp_path, text, who=True)["who"] == ["Åsa"]


def test_many_rows_are_read_in_parts(tmp_path: Path) -> None:
    text = "age,chol,cp,num\n" + "".join(f"{i % 90},200,1,0\n" for i in range(120_001))
    ages = _read(tmp_path, text)["age"]
    assert len(ages) == 120_001
    assert ages[100_000] == str(100_000 % 90)


FAULTS = [
    ("", "", "empty"),
    ("\n\n", "", "empty"),
    ("age,chol,cp,num\n", "", "empty"),
    ("age,chol,cp,num\n\n,,,\n", "", "empty"),
    ("age,chol,cp\n63,233,1\n", "num", "missing column"),
    ("Age,chol,cp,num\n63,233,1,0\n", "age", "missing column"),
    ("63,233,1,0\n41,?,x,2\n", "age", "missing column"),
    ("age,chol,cp,num,age\n63,233,1,0,64\n", "age", "duplicate column"),
    ("age,chol,cp,num,x,x\n63,233,1,0,64,64\n", "", "duplicate column"),
    (PLAIN + "63,233,1", "", "truncated"),
    (PLAIN + "63,233,1,0,9\n", "", "truncated"),
    (PLAIN + '63,"233,1,0\n', "", "malformed"),
    (PLAIN + '63,"23"3,1,0\n', "", "malformed"),
    (PLAIN + f"63,{'9' * 200_000},1,0\n", "", "malformed"),
    (PLAIN + "63,2\x0033,1,0\n", "", "not UTF-8 text"),
    (PLAIN.encode() + b"63,233,\xe9,0\n", "", "not UTF-8 text"),
    (PLAIN.encode("utf-16"), "", "not UTF-8 text"),
    (PLAIN.encode("utf-16-le"), "", "not UTF-8 text"),
]


@pytest.mark.parametrize(("data", "column", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_each_fault_is_named(tmp_path: Path, data: str | bytes, column: str, fault: str) -> None:
    with pytest.raises(ContractError) as caught:
        _read(tmp_path, data)
    error = caught.value
    assert (error.column, error.fault) == (column, fault)
    assert error.advice in str(error)
    assert error.__cause__ is None
    # No value, no count, no line number leaves with it.
    assert not any(character.isdigit() for character in str(error).replace("UTF-8", ""))


def test_absent_files_are_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(ContractError, match="unreadable") as caught:
            read_csv(path, contract())
        assert str(tmp_path) not in str(caught.value)


def test_a_file_without_header_does_not_leak_its_first_row(tmp_path: Path) -> None:
    """Its first row is then taken for the header, where values may well stand twice."""
    row = "canary,canary,age,chol,cp,num\n1,2,3,4,5,6\n"
    with pytest.raises(ContractError) as caught:
        _read(tmp_path, row)
    assert "canary" not in str(caught.value)
