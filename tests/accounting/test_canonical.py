"""Canonical JSON is what RFC 8785 says, whichever of the two ways wrote it."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from accounting.canonical import canonical_json, canonical_value

texts = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15, allow_nan=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)


@given(values)
def test_it_writes_what_the_library_writes(value):
    text = canonical_json(value)
    assert text == rfc8785.dumps(value).decode()
    assert canonical_json(canonical_value(text)) == text


@given(values, st.integers(0, 3))
def test_another_form_of_the_same_value_is_refused(value, form):
    text = canonical_json(value)
    other = [
        json.dumps(value, indent=1),
        " " + text,
        text + "\n",
        json.dumps({"b": value, "a": 1}, separators=(",", ":")),
    ][form]
    if other != text:
        with pytest.raises(ValueError, match=r"."):
            canonical_value(other)


@pytest.mark.parametrize(
    "text",
    [
        "1.0",
        "1E2",
        "-0",
        "01",
        "NaN",
        "Infinity",
        '{"a":1,"a":1}',
        '"\\u0041"',
        '"\\/"',
        "",
        '{"b":1,"a":2}',
        '{"a": 1}',
        "9007199254740993",
        "1e400",
        '{"😀":1,"":2}'[:-1] + " }",
    ],
)
def test_these_are_not_canonical(text):
    with pytest.raises(ValueError, match=r"."):
        canonical_value(text)


def test_keys_sort_by_utf_16_units():
    """RFC 8785 section 3.2.3: an astral character sorts before U+FB33 although it is larger."""
    assert canonical_json({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'
    assert canonical_value('{"\U0001f600":2,"\ufb33":1}') == {"\U0001f600": 2, "\ufb33": 1}
    with pytest.raises(ValueError, match="not canonical"):
        canonical_value('{"\ufb33":1,"\U0001f600":2}')


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, 2**53, {"a": object()}])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(Exception, match=r"."):
        canonical_json(value)
