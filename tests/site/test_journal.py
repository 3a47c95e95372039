"""The journal: append-only, chained, synced, and honest about a full disk."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from accounting.dp.events import PrivacyEvent
from federation.protocol.canonical import digest
from federation.site.journal import (
    Journal,
    JournalBroken,
    JournalFull,
    Kind,
    Slot,
    as_json,
    read_entries,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVENT = PrivacyEvent("gaussian", 2.0, 1.0, 1)


def slot(number: int = 1, **changes: object) -> Slot:
    fields = {
        "study": "heart",
        "round": number,
        "attempt": 1,
        "phase": "train",
        "assignment": f"a{number}",
        "message_digest": digest(str(number).encode()),
    }
    return Slot(**fields | changes)


def filled(path: Path, count: int = 3) -> Path:
    journal = Journal(path)
    for number in range(1, count + 1):
        journal.append(Kind.CHARGED, slot(number), at=NOON, lineage="people", event=EVENT)
        journal.append(Kind.RELEASED, slot(number), at=NOON, tensors_digest="0" * 64)
    journal.close()
    return path


def test_it_remembers_across_restarts(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.sqlite3")
    journal = Journal(path)
    assert journal.latest == NOON
    assert journal.charged_events(lineage="people") == (EVENT,) * 3
    assert journal.charged_events(study="heart") == (EVENT,) * 3
    assert journal.charged_events(lineage="others") == ()
    assert journal.charge_of(slot(2)).assignment == "a2"
    assert journal.charge_of(slot(2, attempt=2)) is None
    assert set(journal.about("a3")) == {Kind.CHARGED, Kind.RELEASED}
    journal.append(Kind.CHARGED, slot(9), at=NOON, event=EVENT)
    journal.close()
    assert [entry.sequence for entry in read_entries(path)] == list(range(1, 8))


def test_every_commit_is_synced(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite3")
    assert journal._rows.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    journal.close()


def test_the_json_carries_the_event_as_an_object(tmp_path: Path) -> None:
    entries = as_json(read_entries(filled(tmp_path / "j.sqlite3", 1)))
    assert entries[0]["event"] == EVENT.to_json()
    assert entries[1]["event"] is None
    assert [entry["kind"] for entry in entries] == ["charged", "released"]


def charge_many(journal: Journal, count: int) -> None:
    for number in range(1, count):
        journal.append(Kind.CHARGED, slot(number), at=NOON, event=EVENT)


@pytest.mark.parametrize("statement", ["UPDATE entries SET kind = 'x'", "DELETE FROM entries"])
def test_rows_cannot_be_changed_by_accident(tmp_path: Path, statement: str) -> None:
    rows = sqlite3.connect(filled(tmp_path / "j.sqlite3"))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        rows.execute(statement)
    rows.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET kind = 'refused' WHERE sequence = 1",
        "UPDATE entries SET event = replace(event, '2.0', '9.0') WHERE sequence = 3",
        "UPDATE entries SET lineage = 'others' WHERE sequence = 5",
        "DELETE FROM entries WHERE sequence = 1",
        "DELETE FROM entries WHERE sequence = 4",
        "UPDATE entries SET sequence = 7 WHERE sequence = 6",
    ],
)
def test_a_change_on_purpose_is_found_at_the_next_start(tmp_path: Path, statement: str) -> None:
    path = filled(tmp_path / "j.sqlite3")
    rows = sqlite3.connect(path)
    rows.execute("DROP TRIGGER no_update")
    rows.execute("DROP TRIGGER no_delete")
    rows.execute(statement)
    rows.commit()
    rows.close()
    with pytest.raises(JournalBroken, match="does not fit its chain"):
        Journal(path)
    with pytest.raises(JournalBroken):
        read_entries(path)


def test_another_file_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    path.write_bytes(b"not a database, but long enough to be read as one" * 50)
    with pytest.raises(JournalBroken, match="not a journal"):
        Journal(path)


def test_one_slot_is_charged_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite3")
    journal.append(Kind.CHARGED, slot(), at=NOON, event=EVENT)
    with pytest.raises(sqlite3.IntegrityError):
        journal.append(Kind.CHARGED, slot(assignment="other"), at=NOON, event=EVENT)
    journal.close()


def test_a_full_disk_is_said_and_leaves_the_chain_whole(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    journal = Journal(path)
    pages = journal._rows.execute("PRAGMA page_count").fetchone()[0]
    journal._rows.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalFull, match="SQLITE_FULL"):
        charge_many(journal, 200)
    journal._rows.execute(f"PRAGMA max_page_count = {pages + 50}")
    journal.append(Kind.CHARGED, slot(500), at=NOON, event=EVENT)
    journal.close()
    assert read_entries(path)[-1].assignment == "a500"
