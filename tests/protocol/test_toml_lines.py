"""The lines of keys in TOML: in tables, arrays of tables, long values and odd texts."""

import tomllib

import pytest

from federation.protocol.study_file import example
from federation.protocol.toml_lines import KeyPath, key_lines, line_of

TEXT = '''# [comment]
title = "a # b [c]"
a.b = 1
"odd key".'x.y' = 2
[table]
list = [  # with ] in a comment
    "]",
    { k = "[" },
]
text = """
[not.a.table]
key = 1 \\"""
"""
raw = \'\'\'
also = [not
\'\'\'
after = 3
[[rows]]
x = 1
[rows.inner]
y = 2
[[rows]]
  x = 3
[[rows.deep]]
z = 4
[[rows.deep]]
z = 5
[ spaced . "name" ]
'''

EXPECTED: dict[KeyPath, int] = {
    ("title",): 2,
    ("a", "b"): 3,
    ("odd key", "x.y"): 4,
    ("table",): 5,
    ("table", "list"): 6,
    ("table", "text"): 10,
    ("table", "raw"): 14,
    ("table", "after"): 17,
    ("rows", 0): 18,
    ("rows", 0, "x"): 19,
    ("rows", 0, "inner"): 20,
    ("rows", 0, "inner", "y"): 21,
    ("rows", 1): 22,
    ("rows", 1, "x"): 23,
    ("rows", 1, "deep", 0): 24,
    ("rows", 1, "deep", 0, "z"): 25,
    ("rows", 1, "deep", 1): 26,
    ("rows", 1, "deep", 1, "z"): 27,
    ("spaced", "name"): 28,
}


def test_known_answer() -> None:
    assert tomllib.loads(TEXT)["table"]["after"] == 3
    assert key_lines(TEXT) == EXPECTED


def test_nothing_has_no_lines() -> None:
    assert key_lines("") == key_lines("\n# only words\n") == {}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("rows", 1, "missing"), 22),
        (("table", "list", 1, "k"), 6),
        (("nowhere", "at", "all"), None),
        ((), None),
    ],
)
def test_what_has_no_line_has_its_tables(path: KeyPath, line: int | None) -> None:
    assert line_of(EXPECTED, path) == line


def test_every_key_of_the_example_is_found_where_it_stands() -> None:
    text = example()
    lines = text.splitlines()
    found = key_lines(text)
    for path, line in found.items():
        names = [part for part in path if isinstance(part, str)]
        assert names[-1] in lines[line - 1]
    assert len(found) > 60
