"""A statement tells a journal whole: nothing changed, missing, or unfit to leave."""

from typing import Any

import pytest

from federation.protocol.journal_rows import GENESIS, sealed
from federation.protocol.messages import MessageError, Statement, open_envelope, sign
from tests.protocol import samples


def test_it_travels_in_an_envelope() -> None:
    statement = samples.statement()
    assert statement.complete
    envelope = sign(statement, samples.KEY)
    assert open_envelope(envelope, samples.KEY.public, Statement) == statement
    with pytest.raises(MessageError, match="another key"):
        open_envelope(envelope, samples.OTHER.public, Statement)


def test_two_hundred_entries_fit() -> None:
    assert len(sign(samples.statement(entries=samples.rows(200)), samples.KEY)) < 400_000


def test_an_empty_journal_can_be_told() -> None:
    statement = samples.statement(entries=[])
    assert (statement.first, statement.complete) == (1, True)


def test_a_long_journal_is_told_in_parts() -> None:
    rows = samples.rows(5)
    end = {"sequence": 5, "digest": rows[-1]["digest"]}
    part = samples.statement(entries=rows[1:3], first=2, journal=end)
    assert not part.complete
    assert samples.statement(entries=rows[3:], first=4, journal=end).complete


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"first": 2}, "do not begin at first"),
        ({"entries": samples.rows(3)[::2]}, "does not follow"),
        ({"entries": samples.rows(3)[::-1]}, "does not follow"),
        ({"journal": {"sequence": 1, "digest": GENESIS}}, "the journal's end"),
        ({"journal": {"sequence": 2, "digest": GENESIS}}, "the journal's end"),
        ({"entries": [], "first": 3}, "do not begin at first"),
    ],
)
def test_what_does_not_hang_together_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(MessageError, match=why):
        samples.statement(**change)


@pytest.mark.parametrize("name", [n for n in samples.row() if n not in ("digest", "event")])
def test_a_changed_row_is_refused(name: str) -> None:
    row = samples.row()
    other = {"sequence": 2, "round": 9, "attempt": 9, "kind": "released", "reason": "clock"}
    changed = row | {name: other.get(name, "b" * 64 if len(str(row[name])) == 64 else "other")}
    with pytest.raises(MessageError, match=f"digest does not fit|{name}"):
        samples.statement(entries=[changed])


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "0.1"},
        {"reason": "42 rows were missing"},
        {"reason": "Traceback of a failure"},
        {"kind": "counted"},
        {"event": '{"steps":1}'},
        {"event": ""},
        {"event": samples.row()["event"].replace("1.1", "1.10")},
        {"at": "yesterday"},
        {"sequence": True},
    ],
    ids=str,
)
def test_a_sealed_row_of_another_form_is_refused(change: dict[str, Any]) -> None:
    """Its digest fits: what is wrong is that it could carry something else out of the site."""
    row = samples.row() | change
    row["digest"] = sealed(row)
    with pytest.raises(MessageError, match="entries"):
        samples.statement(entries=[row])
